//! What fuzz targets have in common: the parties that sign in them, another reader to compare with, and what is expected of programs.

pub mod go;
pub mod program;
pub mod signing;
