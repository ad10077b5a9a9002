//! Every bundle of the vectors, by what it is about.

mod assertions;
mod chain;
mod copies;
pub mod cross;
mod delegations;
mod enrolments;
mod form;
mod four_eyes;
mod governance;
mod guards;
mod keys;
mod log;
mod mirror;
mod parents;
mod passkeys;
mod people;
mod policies;
mod release;
mod required;
mod rules;
mod stories;
pub mod windows;

use crate::case::Case;

/// Returns every case, in ascending order of the numbers.
pub fn all() -> Vec<Case> {
    let areas = [
        stories::all,
        copies::all,
        form::all,
        chain::all,
        keys::all,
        rules::all,
        people::all,
        delegations::all,
        parents::all,
        required::all,
        passkeys::all,
        assertions::all,
        enrolments::all,
        policies::all,
        log::all,
        mirror::all,
        release::all,
        guards::all,
        governance::all,
        four_eyes::all,
    ];
    areas.iter().flat_map(|area| area()).collect()
}
