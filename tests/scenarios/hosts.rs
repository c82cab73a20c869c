//! Nodes that live: what happens to a node when something happens to its machine, with Berth's agent on virtual hosts.

mod brought;
