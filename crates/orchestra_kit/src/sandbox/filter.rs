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

/// Filters the calling thread, the only one of its process, for good.
pub(super) fn restrict(policy: &Policy) -> Result<(), seccompiler::Error> {
    let own = std::process::id();
    for program in programs(policy, own)? {
        apply_filter(&program)?;
    }
    Ok(())
}

/// The filters of a policy: an action other than "allow" each, which is all that one of them can have.
pub(super) fn programs(policy: &Policy, own: u32) -> Result<[BpfProgram; 2], BackendError> {
    let unknown = Refused { call: UNKNOWN, when: Vec::new() };
    Ok([compile(refused(policy, own), libc::EPERM)?, compile(vec![unknown], libc::ENOSYS)?])
}

fn compile(calls: Vec<Refused>, answer: i32) -> Result<BpfProgram, BackendError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for Refused { call, when } in calls {
        let of_call = rules.entry(call).or_default();
        // Without a rule a call always matches.
        if !when.is_empty() {
            let tests = when.into_iter().map(condition).collect::<Result<_, _>>()?;
            of_call.push(SeccompRule::new(tests)?);
        }
    }
    let action = SeccompAction::Errno(answer.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, architecture)?;
    let mut program = foreign_calls(audited(architecture));
    program.extend(BpfProgram::try_from(filter)?);
    Ok(program)
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
    const AT_LEAST: u16 = 0x35;
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
    let mut data = Vec::from(u32::try_from(call).unwrap_or_default().to_le_bytes());
    data.extend(architecture.to_le_bytes());
    data.extend([0; 8]);
    data.extend(arguments.iter().flat_map(|argument| argument.to_le_bytes()));
    let word = |at: u32| {
        let bytes = data.get(at as usize..at as usize + 4).and_then(|part| part.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    };
    let (mut at, mut held) = (0, 0);
    loop {
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
            0x05 => *k as usize,
            0x15 => jump(held == *k),
            0x25 => jump(held > *k),
            0x35 => jump(held >= *k),
            0x06 if *k == libc::SECCOMP_RET_ALLOW => return 0,
            0x06 if k & 0xffff_0000 == libc::SECCOMP_RET_ERRNO => return k & 0xffff,
            _ => return *k,
        };
    }
}
