//! Policies, check settings and lists: what is refused, and when changes take effect.
