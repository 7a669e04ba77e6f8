//! What can be wrong with a run: each kind spoils a sound one, and names the laws of which one must be told.
//! A kind that finds no place in a log leaves it alone.

mod authority;
mod elections;
mod files;
mod operations;

use crate::spoilt::Spoilt;

/// Spoils a run, if there is something of its kind to be spoilt.
pub(crate) type Spoil = fn(&mut Spoilt) -> Option<()>;

/// A way to spoil a run: what is wrong then, the laws of which one at least must be named, and how.
pub(crate) type Mutation = (&'static str, &'static [&'static str], Spoil);

/// All of them.
pub(crate) fn all() -> Vec<Mutation> {
    let tables = [authority::ALL, elections::ALL, operations::ALL, files::ALL];
    tables.concat()
}
