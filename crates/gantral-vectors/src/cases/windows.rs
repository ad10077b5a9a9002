//! Every window of the vectors, by what it is about. Source: `spec/window.md`.

mod bundles;
mod lists;
mod signers;
mod statements;

use gantral_core::ids::InstanceId;

use crate::case::FileMap;
use crate::story::Story;
use crate::tales;
use crate::window::{Window, WindowCase, placed};

/// Two executions, and the bundle of each.
const WHOLE: &str = "001-whole";
/// No execution at all.
const EMPTY: &str = "002-no-executions";

/// Returns every case, in ascending order of the numbers.
pub fn all() -> Vec<WindowCase> {
    [lists::all, statements::all, signers::all, bundles::all].iter().flat_map(|area| area()).collect()
}

/// An execution that nobody launched, of which nothing is to be said.
fn story(number: u8) -> Story {
    placed(tales::expired(), number)
}

fn id(number: u8) -> InstanceId {
    InstanceId::from_random([number; 16])
}

/// The window of the executions 7 and 8.
fn whole() -> Window {
    Window::of(vec![story(7), story(8)])
}

/// The window of nothing.
fn empty() -> Window {
    Window::of(Vec::new())
}

/// The files of a window after they were changed.
fn changed(window: &Window, change: impl FnOnce(&mut FileMap)) -> FileMap {
    let mut files = window.whole();
    change(&mut files);
    files
}
