//! `berth openapi`: prints the OpenAPI document.
#![expect(clippy::print_stdout, reason = "the document is the command's output")]

use crate::Error;

#[expect(
    clippy::unnecessary_wraps,
    reason = "every subcommand answers with a result"
)]
pub(crate) fn run() -> Result<(), Error> {
    print!("{}", api::openapi_json());
    Ok(())
}
