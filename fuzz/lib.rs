//! What fuzz targets have in common: the parties that sign in them, and another reader to compare with.

pub mod go;
pub mod signing;
