//! System calls, held by seccomp.
//!
//! Called by [`super::apply`] in the guest. Invariant: whatever is refused is refused with EPERM, or with ENOSYS where a
//! library then takes another way; also the calls of other architectures, which are never looked at.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter, sock_filter,
};

use super::Policy;
use super::system_calls::{Refused, Test, UNKNOWN, refused};

/// Goes on behind the next instruction where the call's number is less.
const AT_LEAST: u16 = 0x35;
/// Goes on so many instructions later.
const GO: u16 = 0x05;
/// How many calls are looked for one after the other.
const NEAR: usize = 6;

/// Filters the calling thread, the only one of its process, for good.
pub(super) fn restrict(policy: &Policy) -> Result<(), seccompiler::Error> {
    apply_filter(&program(policy, std::process::id())?)
}

/// What is answered to calls whose numbers lie together.
struct Part {
    first: i64,
    answer: i32,
    rules: BTreeMap<i64, Vec<SeccompRule>>,
}

/// The filter of a policy. `own`: the guest's number.
///
/// The kernel runs a new filter once for each call that it knows, and each call whose arguments are looked at for as
/// long as the guest lives: so few steps lead to the few calls among which one is looked for.
pub(super) fn program(policy: &Policy, own: u32) -> Result<BpfProgram, BackendError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let compiled: Vec<(i64, BpfProgram)> = parts(policy, own)?
        .into_iter()
        .map(|Part { first, answer, rules }| {
            let action = SeccompAction::Errno(answer.unsigned_abs());
            SeccompFilter::new(rules, SeccompAction::Allow, action, architecture)
                .and_then(BpfProgram::try_from)
                .map(|part| (first, part))
        })
        .collect::<Result<_, _>>()?;
    let mut program = foreign_calls(audited(architecture));
    program.extend(ways(&compiled));
    program.extend(compiled.into_iter().flat_map(|(_, part)| part));
    Ok(program)
}

fn parts(policy: &Policy, own: u32) -> Result<Vec<Part>, BackendError> {
    let mut calls: BTreeMap<i64, (i32, Vec<SeccompRule>)> = BTreeMap::new();
    for Refused { call, when } in refused(policy, own) {
        let (_, rules) = calls.entry(call).or_insert((libc::EPERM, Vec::new()));
        // Without a rule a call always matches.
        if !when.is_empty() {
            let tests = when.into_iter().map(condition).collect::<Result<_, _>>()?;
            rules.push(SeccompRule::new(tests)?);
        }
    }
    calls.insert(UNKNOWN, (libc::ENOSYS, Vec::new()));
    let mut found: Vec<Part> = Vec::new();
    for (call, (answer, rules)) in calls {
        match found.last_mut().filter(|part| part.answer == answer && part.rules.len() < NEAR) {
            Some(part) => drop(part.rules.insert(call, rules)),
            None => {
                found.push(Part { first: call, answer, rules: BTreeMap::from([(call, rules)]) });
            }
        }
    }
    Ok(found)
}

/// The instructions, before the first part, that lead to the one in which a call would be, the last one first.
fn ways(parts: &[(i64, BpfProgram)]) -> BpfProgram {
    let mut before: usize = parts.iter().map(|(_, part)| part.len()).sum();
    let mut ways = Vec::new();
    for (place, (first, part)) in parts.iter().enumerate().skip(1).rev() {
        before -= part.len();
        let between = 2 * (place - 1) + before;
        // The number of a call, and the length of a program, is far below.
        let (first, between) = (u32::try_from(*first), u32::try_from(between));
        ways.push(sock_filter { code: AT_LEAST, jt: 0, jf: 1, k: first.unwrap_or(u32::MAX) });
        ways.push(sock_filter { code: GO, jt: 0, jf: 0, k: between.unwrap_or(u32::MAX) });
    }
    ways
}

fn condition(test: Test) -> Result<SeccompCondition, BackendError> {
    let (argument, operator, value) = match test {
        Test::Is(argument, value) => (argument, SeccompCmpOp::Eq, value),
        Test::IsNot(argument, value) => (argument, SeccompCmpOp::Ne, value),
        Test::Masked(argument, mask, value) => {
            (argument, SeccompCmpOp::MaskedEq(u64::from(mask)), value)
        }
    };
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, u64::from(value))
}

/// What the kernel calls an architecture.
const fn audited(architecture: TargetArch) -> u32 {
    match architecture {
        TargetArch::x86_64 => 0xc000_003e,
        TargetArch::aarch64 => 0xc000_00b7,
        TargetArch::riscv64 => 0xc000_00f3,
    }
}

/// The instructions that come first: a call of another architecture, or of the x32 one, is refused; the crate's own
/// answer would be the end of the process.
fn foreign_calls(architecture: u32) -> BpfProgram {
    const LOAD: u16 = 0x20;
    const EQUAL: u16 = 0x15;
    const ANSWER: u16 = 0x06;
    const NUMBER: u32 = 0;
    const ARCHITECTURE: u32 = 4;
    const X32: u32 = 0x4000_0000;
    let refusal = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        step(LOAD, 0, 0, ARCHITECTURE),
        step(EQUAL, 1, 0, architecture),
        step(ANSWER, 0, 0, refusal),
        step(LOAD, 0, 0, NUMBER),
        step(AT_LEAST, 0, 1, X32),
        step(ANSWER, 0, 0, refusal),
    ]
}

/// What a filter answers to a call: 0 where it allows it, else the error; anything else is told as it is.
#[cfg(test)]
pub(super) fn answer(
    program: &[sock_filter],
    architecture: u32,
    call: i64,
    arguments: [u64; 6],
) -> u32 {
    stepped(program, architecture, call, arguments).0
}

/// The same, and after how many instructions.
#[cfg(test)]
pub(super) fn stepped(
    program: &[sock_filter],
    architecture: u32,
    call: i64,
    arguments: [u64; 6],
) -> (u32, usize) {
    let mut data = Vec::from(u32::try_from(call).unwrap_or_default().to_le_bytes());
    data.extend(architecture.to_le_bytes());
    data.extend([0; 8]);
    data.extend(arguments.iter().flat_map(|argument| argument.to_le_bytes()));
    let word = |at: u32| {
        let bytes = data.get(at as usize..at as usize + 4).and_then(|part| part.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    };
    let (mut at, mut held, mut steps) = (0, 0, 0);
    loop {
        steps += 1;
        let sock_filter { code, jt, jf, k } = &program[at];
        let jump = |yes: bool| usize::from(if yes { *jt } else { *jf });
        at += 1 + match code {
            0x20 => {
                held = word(*k);
                0
            }
            0x54 => {
                held &= k;
                0
            }
            &GO => *k as usize,
            0x15 => jump(held == *k),
            0x25 => jump(held > *k),
            &AT_LEAST => jump(held >= *k),
            0x06 if *k == libc::SECCOMP_RET_ALLOW => return (0, steps),
            0x06 if k & 0xffff_0000 == libc::SECCOMP_RET_ERRNO => return (k & 0xffff, steps),
            _ => return (*k, steps),
        };
    }
}
