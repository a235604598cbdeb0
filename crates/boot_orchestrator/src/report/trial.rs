//! What the variants of an experiment did, in figures and in words; and the shares that they have.
//!
//! Called by the bindings, for experiments on components and on versions of extensions alike. Pure.

use std::fmt::Write as _;

use component::Code;

use crate::graph::specification::Advice;

/// What one variant did.
#[derive(Debug, Clone, PartialEq)]
pub struct VariantFigures {
    /// Its share of the calls, as asked for.
    pub share: f64,
    /// How many calls it had.
    pub calls: u64,
    /// How many of them failed.
    pub errors: u64,
    /// The median and the percentiles 90, 95 and 99 of the last calls' seconds; none before the first.
    pub percentiles: Option<[f64; 4]>,
}

impl VariantFigures {
    /// Takes the seconds of the last calls, in any order.
    pub fn new(share: f64, calls: u64, errors: u64, mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        let count = seconds.len();
        // By the nearest rank.
        let rank = |percent: usize| seconds[(count * percent / 100).min(count - 1)];
        let percentiles = (count > 0).then(|| [50, 90, 95, 99].map(rank));
        Self { share, calls, errors, percentiles }
    }
}

/// The whole text of an experiment.
pub fn trial_text(component: &str, variants: &[(String, VariantFigures)]) -> String {
    let width = variants.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text = format!("experiment on `{component}`");
    for (name, one) in variants {
        let [p50, p90, _, p99] =
            one.percentiles.map_or_else(|| [0; 4].map(|_| "-".to_owned()), |all| all.map(duration));
        let (share, calls, errors) = (one.share * 100.0, one.calls, one.errors);
        let _ = write!(
            text,
            "\n  {name:<width$}  {share:5.1}%  {calls} calls, {errors} errors, p50 {p50}, p90 {p90}, p99 {p99}"
        );
    }
    text
}

fn duration(seconds: f64) -> String {
    if seconds < 1e-3 {
        format!("{:.0} us", seconds * 1e6)
    } else {
        format!("{:.1} ms", seconds * 1e3)
    }
}

/// The share of each variant; weights are made to sum to one.
///
/// # Errors
/// There are no variants, the weights are not theirs, or they are no weights.
pub fn shares(variants: &[String], split: Option<&[(String, f64)]>) -> Result<Vec<f64>, Advice> {
    let refused = |message: &str, hint: String| Advice {
        code: Code::INVALID_VALUE,
        message: message.to_owned(),
        hint,
    };
    if variants.is_empty() {
        let hint = "give each a name: `{\"now\": Old, \"new\": New}`".to_owned();
        return Err(refused("an experiment needs variants", hint));
    }
    let Some(split) = split else {
        return Ok(vec![1.0 / variants.len() as f64; variants.len()]);
    };
    let weight = |name: &String| split.iter().find(|(known, _)| known == name).map(|(_, one)| *one);
    let weights: Option<Vec<f64>> = variants.iter().map(weight).collect();
    let Some(weights) = weights.filter(|weights| weights.len() == split.len()) else {
        let names: Vec<String> = variants.iter().map(|name| format!("`{name}`")).collect();
        let hint = format!("give each of them a share: {}", names.join(", "));
        return Err(refused("`split` does not name the variants", hint));
    };
    let total: f64 = weights.iter().sum();
    if !(total > 0.0 && total.is_finite() && weights.iter().all(|one| *one >= 0.0)) {
        let hint = "they are positive numbers".to_owned();
        return Err(refused("the shares of `split` are not lawful", hint));
    }
    Ok(weights.into_iter().map(|one| one / total).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_by_the_nearest_rank() {
        let seconds = (1_u32..=100).rev().map(f64::from).collect();
        let figures = VariantFigures::new(0.5, 100, 0, seconds);
        assert_eq!(figures.percentiles, Some([51.0, 91.0, 96.0, 100.0]));
        assert_eq!(VariantFigures::new(1.0, 0, 0, Vec::new()).percentiles, None);
    }

    #[test]
    fn a_text_has_a_line_for_each_variant() {
        let variants = [
            ("old".to_owned(), VariantFigures::new(0.9, 2, 1, vec![0.000_5, 0.25])),
            ("b".to_owned(), VariantFigures::new(0.1, 0, 0, Vec::new())),
        ];
        insta::assert_snapshot!(trial_text("Index", &variants), @r"
        experiment on `Index`
          old   90.0%  2 calls, 1 errors, p50 250.0 ms, p90 250.0 ms, p99 250.0 ms
          b     10.0%  0 calls, 0 errors, p50 -, p90 -, p99 -
        ");
    }

    #[test]
    fn weights_are_made_to_sum_to_one_and_those_that_are_none_are_refused() {
        let names = ["a".to_owned(), "b".to_owned()];
        let split = |a, b| vec![("a".to_owned(), a), ("b".to_owned(), b)];
        assert_eq!(shares(&names, Some(&split(3.0, 1.0))), Ok(vec![0.75, 0.25]));
        assert_eq!(shares(&names, None), Ok(vec![0.5, 0.5]));
        for (a, b) in [(0.0, 0.0), (-1.0, 2.0), (f64::NAN, 1.0), (f64::INFINITY, 1.0)] {
            let refused = shares(&names, Some(&split(a, b))).map_err(|advice| advice.message);
            assert_eq!(refused, Err("the shares of `split` are not lawful".to_owned()), "{a} {b}");
        }
        let other = [("a".to_owned(), 1.0)];
        let refused = shares(&names, Some(&other)).map_err(|advice| advice.hint);
        assert_eq!(refused, Err("give each of them a share: `a`, `b`".to_owned()));
        assert!(shares(&[], None).is_err());
    }
}
