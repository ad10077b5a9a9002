//! Looking at every state once, by breadth, with the way back to the first.

use std::collections::{HashMap, VecDeque};
use std::hash::{Hash as _, Hasher};

use crate::model::broken::Machine;
use crate::model::moves::{commands, next_instant};
use crate::model::small::Small;

/// How many steps of time alone may follow each other before a gate is closed.
const TIME_MAX: usize = 8;

/// What was found.
pub struct Found {
    pub states: usize,
    pub steps: usize,
    pub ends: usize,
    /// From how many states no end can be reached.
    pub stuck: usize,
    /// What is wrong first, and what led there.
    pub wrong: Option<(String, Vec<String>)>,
}

/// Everything that was seen.
#[derive(Default)]
struct Seen {
    numbers: HashMap<u128, u32>,
    /// How each state was first reached.
    came: Vec<(u32, String)>,
    /// From which states each can be reached.
    before: Vec<Vec<u32>>,
    ends: Vec<u32>,
}

/// Looks at every state that can be reached, until one is wrong.
pub fn explore(from: Small, machine: &dyn Machine, most: usize) -> Found {
    let mut seen = Seen::default();
    let mut steps = 0;
    seen.add(&from, 0, String::new());
    let mut queue = VecDeque::from([(0, from)]);
    while let Some((number, small)) = queue.pop_front() {
        assert!(seen.came.len() < most, "the world has no end");
        if small.world.instance.state().is_final() {
            seen.ends.push(number);
            continue;
        }
        if small.waits() && !ends_by_itself(&small, machine) {
            return seen.wrong(number, "a gate", "does not end by itself", steps);
        }
        for (what, next) in successors(&small, machine) {
            steps += 1;
            let next = match next {
                Ok(next) => next,
                Err(wrong) => return seen.wrong(number, &what, &wrong, steps),
            };
            if let Some(fresh) = seen.add(&next, number, what) {
                queue.push_back((fresh, next));
            }
        }
    }
    let stuck = seen.stuck();
    Found { states: seen.came.len(), steps, ends: seen.ends.len(), stuck, wrong: None }
}

/// A gate that nobody touches any more closes when its time has come.
fn ends_by_itself(small: &Small, machine: &dyn Machine) -> bool {
    let mut small = small.clone();
    for _ in 0..TIME_MAX {
        match (small.tick(machine), next_instant(&small)) {
            (Err(_), _) => return false,
            // What is due next may be due at once.
            (Ok(true), _) => {}
            (Ok(false), Some(next)) if small.waits() => small.wait_until(next),
            (Ok(false), _) => break,
        }
    }
    !small.waits()
}

type Next = (String, Result<Small, String>);

fn successors(small: &Small, machine: &dyn Machine) -> Vec<Next> {
    let mut all = Vec::new();
    let mut try_to = |what: String, run: &dyn Fn(&mut Small) -> Result<bool, String>| {
        let mut next = small.clone();
        match run(&mut next) {
            Ok(true) => all.push((what, Ok(next))),
            Ok(false) => {}
            Err(wrong) => all.push((what, Err(wrong))),
        }
    };
    for (actor, asked) in commands(small) {
        try_to(asked.name.to_owned(), &|small| small.give(&actor, &asked, machine));
        if small.bounds.torn && small.in_flight().is_none() {
            try_to(format!("a server decides: {}", asked.name), &|small| {
                small.begin(&actor, &asked, machine)
            });
        }
    }
    if let Some(what) = small.in_flight() {
        try_to(format!("what the server decided lands: {what}"), &|small| small.land(machine).map(|()| true));
        try_to(format!("the server crashes before: {what}"), &|small| {
            small.crash();
            Ok(true)
        });
    }
    if let Some(instant) = next_instant(small) {
        try_to(format!("time goes on to {instant}"), &|small| {
            small.wait_until(instant);
            Ok(true)
        });
    }
    try_to("what is due is sealed".to_owned(), &|small| small.tick(machine));
    for policy in small.bounds.policies.iter().copied().filter(|policy| *policy != small.policy) {
        try_to(format!("policy {policy:?} comes into force"), &|small| {
            small.govern(|small| small.policy = policy, machine);
            Ok(true)
        });
    }
    try_to("authority is frozen, or no more".to_owned(), &|small| {
        small.govern(|small| small.frozen = !small.frozen, machine);
        Ok(true)
    });
    all
}

impl Seen {
    /// Notes a step to a state; returns its number if it was not seen before.
    fn add(&mut self, small: &Small, from: u32, what: String) -> Option<u32> {
        let mut hasher = Wide::default();
        small.key().hash(&mut hasher);
        let fresh = u32::try_from(self.came.len()).unwrap();
        let number = *self.numbers.entry(hasher.0).or_insert(fresh);
        if number == fresh {
            self.came.push((from, what));
            self.before.push(Vec::new());
        }
        if number != from {
            self.before[number as usize].push(from);
        }
        (number == fresh).then_some(fresh)
    }

    /// Returns from how many states no end can be reached.
    fn stuck(&self) -> usize {
        let mut reaches = vec![false; self.came.len()];
        let mut queue = self.ends.clone();
        while let Some(number) = queue.pop() {
            if !std::mem::replace(&mut reaches[number as usize], true) {
                queue.extend(&self.before[number as usize]);
            }
        }
        reaches.iter().filter(|reaches| !**reaches).count()
    }

    fn wrong(&self, at: u32, what: &str, wrong: &str, steps: usize) -> Found {
        let mut path = vec![what.to_owned()];
        let mut number = at;
        while number != 0 {
            let (from, what) = &self.came[number as usize];
            path.push(what.clone());
            number = *from;
        }
        path.reverse();
        let wrong = Some((format!("{what}: {wrong}"), path));
        Found { states: self.came.len(), steps, ends: self.ends.len(), stuck: 0, wrong }
    }
}

/// A hash of 128 bits, so that no two states of a world are taken for one: FNV-1a, over eight bytes at a time.
struct Wide(u128);

impl Default for Wide {
    fn default() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Hasher for Wide {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let mixed = (self.0 ^ u128::from(u64::from_le_bytes(word)))
                .wrapping_mul(0x0100_0000_0000_0000_0000_0000_013b);
            self.0 = mixed ^ (mixed >> 64);
        }
    }

    fn finish(&self) -> u64 {
        u64::try_from(self.0 >> 64).unwrap_or(u64::MAX)
    }
}
