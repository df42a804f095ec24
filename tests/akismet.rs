//! The worker and Akismet: requests, answers, verdicts.
