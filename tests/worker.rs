//! The worker as a process: crashes, restarts, shutdown, dropped databases.
