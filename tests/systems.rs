//! The comment tables of other systems, recognised by protect().
