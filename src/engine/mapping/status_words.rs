//! Owns the words that statuses are written in: names of columns and the values that stand for a
//! verdict. Data only.

/// Names of columns that hold one of several states.
pub(super) const STATES: &[&str] =
    &["status", "state", "statut", "estado", "stato", "zustand", "moderation"];

/// Names of columns that are true (or 1) for what may be seen.
pub(super) const SHOWN: &[&str] = &[
    "approved",
    "public",
    "visible",
    "published",
    "accepted",
    "displayed",
    "enabled",
    "active",
    "online",
    "freigegeben",
    "publie",
    "validated",
    "validate",
    "approval",
    "approve",
    "publish",
];

/// Names of columns that are true (or 1) for spam.
pub(super) const SPAM_MARKS: &[&str] = &["spam", "junk"];

/// Names of columns that are true (or 1) for what waits.
pub(super) const WAITING: &[&str] = &[
    "pending",
    "held",
    "quarantined",
    "unapproved",
    "in moderation",
    "needs moderation",
    "awaiting moderation",
    "awaiting approval",
    "needs approval",
    "held for",
    "held for moderation",
];

/// Names of columns that are true (or 1) for what staff took away. A plain `deleted` is none: it
/// is the author's own deletion at least as often.
pub(super) const TAKEN_AWAY: &[&str] =
    &["removed", "hidden", "filtered", "blocked", "suppressed", "disabled", "rejected"];

/// Values of a row that may be seen, the surest first.
pub(super) const HAM_VALUES: &[&str] = &[
    "approved",
    "published",
    "visible",
    "ham",
    "public",
    "accepted",
    "publish",
    "approve",
    "live",
    "complete",
    "completed",
    "posted",
    "active",
    "ok",
    "clean",
    "allowed",
    "shown",
    "displayed",
    "confirmed",
    "valid",
    "normal",
    "enabled",
    "good",
    "subscribed",
    "open",
    "freigegeben",
    "publie",
    "aprobado",
    "aprovado",
];

/// Values of a row that waits for a moderator, the surest first.
pub(super) const MODERATE_VALUES: &[&str] = &[
    "moderated",
    "moderate",
    "moderation",
    "in_moderation",
    "awaiting_moderation",
    "pending_moderation",
    "needs_moderation",
    "unapproved",
    "pending_approval",
    "awaiting_approval",
    "pending",
    "pending_review",
    "needs_review",
    "in_review",
    "under_review",
    "awaiting_review",
    "review",
    "held",
    "hold",
    "on_hold",
    "quarantined",
    "quarantine",
    "queued",
    "waiting",
    "unmoderated",
    "unpublished",
    "hidden",
    "inactive",
    "flagged",
    "draft",
    "private",
    "prop",
    "pendiente",
    "pendente",
    "wartend",
];

/// Values of a row that is spam, the surest first.
pub(super) const SPAM_VALUES: &[&str] = &["spam", "junk", "spammed", "marked_spam", "spammy"];

/// Values that stand for spam where there is no word for it.
pub(super) const REFUSED_VALUES: &[&str] = &[
    "rejected",
    "reject",
    "denied",
    "declined",
    "disapproved",
    "refused",
    "blocked",
    "banned",
    "blocklisted",
    "blacklisted",
    "suppressed",
    "discard",
    "discarded",
];

/// How many of [`HAM_VALUES`] are said of publication and of nothing else.
pub(super) const SURE_HAM: usize = 9;

/// How many of [`MODERATE_VALUES`] are said of moderation and of nothing else.
pub(super) const SURE_MODERATE: usize = 10;

/// Those of [`MODERATE_VALUES`] further down that are said of being seen and of nothing else.
pub(super) const UNSEEN: &[&str] = &["hidden", "unpublished", "unmoderated", "quarantined"];

/// What columns of text say for yes and for no where they say nothing else.
pub(super) const YES_OR_NO: &[(&str, &str)] =
    &[("y", "n"), ("yes", "no"), ("t", "f"), ("true", "false"), ("1", "0")];
