//! Inbound: the two doors (pull, admission), configuration and wiring; the binary countersign.
