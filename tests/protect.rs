//! protect() and unprotect(): mappings, status values, refusals, renames, partitions.
