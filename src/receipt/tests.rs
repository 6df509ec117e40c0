//! Is a receipt made of its inputs alone?
