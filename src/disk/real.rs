//! todo
/// The real disk.
pub struct RealDisk;
