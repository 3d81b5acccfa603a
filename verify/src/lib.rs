//! Facts: who signed this, as checked by us. No I/O.
