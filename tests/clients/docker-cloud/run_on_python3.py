"""Runs the original docker-cloud command line on Python 3.

It is Python 2 code. What it misses is patched into the interpreter before it is imported, so that its packages stay as
they were published. Arguments and exit code are the command line's own.
"""

import base64
import builtins
import codecs
import sys
import time
import urllib.parse

builtins.basestring = str

encode_base64 = base64.b64encode


def b64encode(s, altchars=None):
    """Text in, text out, as in Python 2; bytes as ever."""
    if isinstance(s, str):
        return encode_base64(s.encode(), altchars).decode()
    return encode_base64(s, altchars)


base64.b64encode = b64encode

join = urllib.parse.urljoin


def urljoin(base, url, allow_fragments=True):
    """The library encodes the path before it joins it to the host, which stays text."""
    if isinstance(url, bytes):
        url = url.decode()
    return join(base, url, allow_fragments)


urllib.parse.urljoin = urljoin

get_writer = codecs.getwriter


def getwriter(encoding):
    """The standard streams take text already; the command line wraps them to make them take it."""
    writer = get_writer(encoding)
    return lambda stream, *rest: stream if stream in (sys.stdout, sys.stderr) else writer(stream, *rest)


codecs.getwriter = getwriter

sleep = time.sleep
# `--sync` looks at its action every 4 s; what is tested with it takes less.
time.sleep = lambda seconds: sleep(min(seconds, 0.2))

# Whatever the locale is, the tables have symbols in them. A line is to be seen when it is written: some commands go on
# for ever.
for stream in (sys.stdout, sys.stderr):
    stream.reconfigure(encoding="utf-8", line_buffering=True)

import dockercloudcli.exceptions  # noqa: E402
import dockercloudcli.interpolation  # noqa: E402

# Python 2 looked for these two beside the module that imports them.
sys.modules["exceptions"] = dockercloudcli.exceptions
sys.modules["interpolation"] = dockercloudcli.interpolation

from dockercloudcli.cli import main  # noqa: E402

sys.argv[0] = "docker-cloud"
main()
