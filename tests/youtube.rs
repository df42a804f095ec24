//! Real comments through a WordPress-like table: the sums agree.
