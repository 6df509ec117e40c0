//! Files that serve, and files that do not.
