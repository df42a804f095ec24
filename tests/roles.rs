//! Who may do what, and hostile neighbours.
