//! The fold over the layers of a policy: what each fund pays on one part of a bill, and why.
//!
//! Invariant: bases are exact; only what a fund pays in all is rounded, half away from zero.
//! Invariant: no fund pays beyond its limit, and all of them together never more than the eligible cost.
//! Leaves out: the deductible, years and accounts (`benefit`).

use super::split::{Code, Step};
use super::{BenefitError, Case, Rule};
use crate::accumulator::{Accumulators, FundAmounts};
use crate::money::{BASIS_POINTS, Fen, Ratio, product, round_half_away};
use crate::policy::{
    Adjustment, Band, BandBasis, BandMeasure, BenefitPolicy, CapMeasure, Fund, Layer, LayerBase, Mode,
};

const TRACE_TOO_FINE: BenefitError = BenefitError::AmountOutOfRange { what: "exact base of a trace step" };

/// What the layers work on: the eligible cost of one benefit year's part of a bill.
pub(super) struct Part<'a> {
    pub(super) case: &'a Case<'a>,
    pub(super) policy: &'a BenefitPolicy,
    pub(super) year: i32,
    pub(super) before: Accumulators,
    pub(super) eligible: Fen,
    pub(super) deductible: Fen,
    pub(super) adjustment: Option<Adjustment>,
}

/// What the funds pay on a part, and the burden by which the year's accumulator grows.
pub(super) struct Paid {
    pub(super) funds: FundAmounts,
    pub(super) own_burden: Fen,
}

/// A stretch of cost on the scale of the bands.
#[derive(Clone, Copy)]
struct Stretch {
    start: Fen,
    length: Ratio,
}

/// What a layer may still pay and cover.
#[derive(Clone, Copy)]
struct Limits {
    fund: Fen,
    cost: Option<Fen>,
}

pub(super) fn pay_layers(part: &Part<'_>, trace: &mut Vec<Step>) -> Result<Paid, BenefitError> {
    let (case, policy) = (part.case, part.policy);
    let mut funds = FundAmounts::default();
    let mut overflow = Ratio::ZERO;
    let mut overflows = 0;
    let mut own_burden = None;
    let mut burden = part.eligible;
    for layer in &policy.layers {
        let counted = if layer.deductible_counts { burden } else { burden.left_after(part.deductible) };
        let stretch = match layer.base {
            LayerBase::EligibleAfterDeductible => {
                let start = part.start_in_stay() + part.start_of_stay();
                Stretch { start, length: Ratio::whole(part.eligible - part.deductible) }
            }
            LayerBase::Overflow => Stretch { start: Fen::ZERO, length: overflow },
            LayerBase::OwnEligibleBurdenOfYear => {
                own_burden.get_or_insert(counted);
                Stretch { start: part.before.own_burden, length: Ratio::whole(counted) }
            }
            LayerBase::RemainingEligibleBurden => Stretch { start: Fen::ZERO, length: Ratio::whole(counted) },
        };
        if !layer.is_for(case.entitlements) {
            continue;
        }
        let limits = part.limits(layer, burden);
        let (paid, beyond) = part.pay_layer(layer, stretch, limits, trace)?;
        funds[layer.fund] += paid;
        burden -= paid;
        if matches!(layer.base, LayerBase::EligibleAfterDeductible | LayerBase::Overflow) {
            overflow = if layer.annual_cap.is_some() { beyond } else { Ratio::ZERO };
            if !overflow.is_zero() {
                overflows += 1;
                // It only shows what the next layer begins with. A base too fine for the trace, such as what two caps with odd
                // ratios leave behind, is left out; a layer that is paid on one still refuses.
                trace.extend(step(Code::OverCap(overflows), part.year, overflow, (1, 1)).ok());
            }
        }
    }
    let own_burden = own_burden.unwrap_or(part.eligible - funds[Fund::Pool] - funds[Fund::LargeSum]);
    Ok(Paid { funds, own_burden })
}

impl Part<'_> {
    /// Where this stay's cost begins on its own scale: the deductible fills the lowest band where it is measured.
    fn start_in_stay(&self) -> Fen {
        match self.policy.band_measure {
            BandMeasure::Eligible => self.deductible,
            BandMeasure::AfterDeductible => Fen::ZERO,
        }
    }

    /// Where the stay begins on the scale of the bands.
    fn start_of_stay(&self) -> Fen {
        match self.policy.band_basis {
            BandBasis::Stay => Fen::ZERO,
            BandBasis::Year => self.year_position(),
        }
    }

    /// How far the year's earlier stays came, on the scale of the band measure.
    fn year_position(&self) -> Fen {
        match self.policy.band_measure {
            BandMeasure::Eligible => self.before.eligible,
            BandMeasure::AfterDeductible => self.before.eligible.left_after(self.before.deductible),
        }
    }

    /// What a layer may pay is bounded by the burden left even where its own limit is not reached, so that the ratios
    /// of a careless package cannot pay a cost twice.
    fn limits(&self, layer: &Layer, burden: Fen) -> Limits {
        let Some(cap) = layer.annual_cap else {
            return Limits { fund: burden, cost: None };
        };
        match layer.cap_measure {
            CapMeasure::Fund => Limits { fund: burden.min(cap.left_after(self.before.funds[layer.fund])), cost: None },
            CapMeasure::Eligible => {
                let covered = match layer.base {
                    LayerBase::OwnEligibleBurdenOfYear => self.covered_before(layer),
                    _ => self.year_position() + self.start_in_stay(),
                };
                Limits { fund: burden, cost: Some(cap.left_after(covered)) }
            }
        }
    }

    /// How much of the year's earlier burden lay within bands: what lies below the first was not covered.
    fn covered_before(&self, layer: &Layer) -> Fen {
        self.bands(layer)
            .map(|band| band.to.unwrap_or(Fen(i64::MAX)).min(self.before.own_burden).left_after(band.from))
            .sum()
    }

    fn bands<'l>(&self, layer: &'l Layer) -> impl Iterator<Item = &'l Band> + use<'l> {
        layer.bands_for(self.case.level, self.case.category, self.case.entitlements)
    }

    /// The ratio of a band in parts of the layer's [`Part::rate_unit`].
    fn rate(&self, layer: &Layer, band: &Band) -> i64 {
        let rate = i64::from(band.rate_bp);
        match self.adjustment_of(layer) {
            None => rate,
            Some(Adjustment { mode: Mode::Points, value_bp }) => (rate - i64::from(value_bp)).max(0),
            Some(Adjustment { mode: Mode::Factor, value_bp }) => rate * i64::from(value_bp),
        }
    }

    fn rate_unit(&self, layer: &Layer) -> i64 {
        let whole = i64::from(BASIS_POINTS);
        match self.adjustment_of(layer) {
            Some(Adjustment { mode: Mode::Factor, .. }) => whole * whole,
            _ => whole,
        }
    }

    /// A filing lowers only what is paid on the cost after the deductible.
    fn adjustment_of(&self, layer: &Layer) -> Option<Adjustment> {
        self.adjustment.filter(|_| layer.base == LayerBase::EligibleAfterDeductible)
    }

    /// Returns what the fund pays and the exact cost beyond the layer's limit.
    fn pay_layer(
        &self,
        layer: &Layer,
        stretch: Stretch,
        limits: Limits,
        trace: &mut Vec<Step>,
    ) -> Result<(Fen, Ratio), BenefitError> {
        let mut bands = self.bands(layer).peekable();
        if bands.peek().is_none() {
            let (level, category) = (self.case.level, self.case.category);
            return Err(BenefitError::NoRule { what: Rule::Bands { fund: layer.fund, level, category } });
        }
        // Nearly every bill ends below the first limit, so that the layers on what is beyond it have nothing to pay.
        if stretch.length.is_zero() {
            return Ok((Fen::ZERO, Ratio::ZERO));
        }
        let rate_unit = self.rate_unit(layer);
        let mut walk = Walk::new(stretch, limits, rate_unit);
        let first_step = trace.len();
        let mut last_paid = first_step;
        let mut met: u8 = 0;
        for band in bands {
            met = met.saturating_add(1);
            let rate = self.rate(layer, band);
            if let Some(covered) = walk.cover(band, rate) {
                if rate > 0 {
                    last_paid = trace.len();
                }
                trace.push(step(Code::Band(layer.fund, met), self.year, covered, (rate, rate_unit))?);
            }
        }
        let paid = whole_fen(round_half_away(walk.paid, product(walk.cost_unit, walk.rate_unit)))?;
        settle_rounding(&mut trace[first_step..], last_paid - first_step, paid);
        Ok((paid, walk.beyond()))
    }
}

/// The way along a stretch of cost, band by band, until it or a limit ends.
///
/// Cost is counted in units of one fen divided by `cost_unit`, money in units of that divided by `rate_unit`, so that
/// every quantity is whole.
struct Walk {
    cost_unit: i128,
    rate_unit: i128,
    begin: i128,
    /// Up to here bands have covered the cost.
    reached: i128,
    end: i128,
    cost_left: Option<i128>,
    money_left: i128,
    paid: i128,
    /// What lay beyond the limit, where that ended between two whole units of cost.
    beyond: Option<Ratio>,
}

impl Walk {
    fn new(stretch: Stretch, limits: Limits, rate_unit: i64) -> Self {
        let (cost_unit, rate_unit) = (stretch.length.denominator(), i128::from(rate_unit));
        let begin = product(i128::from(stretch.start.0), cost_unit);
        Self {
            cost_unit,
            rate_unit,
            begin,
            reached: begin,
            end: begin + stretch.length.numerator(),
            cost_left: limits.cost.map(|cost| product(i128::from(cost.0), cost_unit)),
            money_left: product(i128::from(limits.fund.0), product(cost_unit, rate_unit)),
            paid: 0,
            beyond: None,
        }
    }

    /// Covers what lies in the band, as far as the limits go. Returns how much cost that was, if any.
    fn cover(&mut self, band: &Band, rate: i64) -> Option<Ratio> {
        let from = self.begin.max(product(i128::from(band.from.0), self.cost_unit));
        let to = band.to.map_or(self.end, |to| self.end.min(product(i128::from(to.0), self.cost_unit)));
        if to <= from || self.exhausted() {
            return None;
        }
        let rate = i128::from(rate);
        let cost = self.cost_left.map_or(to - from, |left| left.min(to - from));
        let money = product(cost, rate);
        if money > self.money_left {
            // The limit ends inside the band: exactly limit / rate of its cost is consumed.
            let unit = product(self.cost_unit, rate);
            let consumed = Ratio::reduced(self.money_left, unit);
            self.beyond = Some(Ratio::reduced(product(self.end - from, rate) - self.money_left, unit));
            self.paid += self.money_left;
            self.money_left = 0;
            return Some(consumed);
        }
        self.paid += money;
        self.money_left -= money;
        self.cost_left = self.cost_left.map(|left| left - cost);
        self.reached = from + cost;
        Some(Ratio::reduced(cost, self.cost_unit))
    }

    fn exhausted(&self) -> bool {
        self.money_left == 0 || self.cost_left == Some(0)
    }

    /// The cost beyond the point where a limit ended; nothing where none did.
    fn beyond(&self) -> Ratio {
        match self.beyond {
            Some(beyond) => beyond,
            None if self.exhausted() => Ratio::reduced(self.end - self.reached, self.cost_unit),
            None => Ratio::ZERO,
        }
    }
}

/// Makes the steps of a fund add up to what it pays: the last paid one takes the difference. Steps before it never take
/// more than there is, so that it cannot turn negative.
fn settle_rounding(steps: &mut [Step], last_paid: usize, paid: Fen) {
    let Some((last, earlier)) = steps.get_mut(..=last_paid).and_then(<[Step]>::split_last_mut) else {
        return;
    };
    let mut left = paid;
    for step in earlier {
        step.amount = step.amount.min(left);
        left -= step.amount;
    }
    last.amount = left;
}

fn step(code: Code, year: i32, base: Ratio, rate: (i64, i64)) -> Result<Step, BenefitError> {
    let (base_numerator, base_denominator) = base.in_64_bits().ok_or(TRACE_TOO_FINE)?;
    let (rate_numerator, rate_denominator) = rate;
    let amount = whole_fen(round_half_away(
        i128::from(base_numerator) * i128::from(rate_numerator),
        i128::from(base_denominator) * i128::from(rate_denominator),
    ))?;
    Ok(Step { code, year, base_numerator, base_denominator, rate_numerator, rate_denominator, amount })
}

fn whole_fen(value: i128) -> Result<Fen, BenefitError> {
    i64::try_from(value).map(Fen).map_err(|_| BenefitError::AmountOutOfRange { what: "amount of a trace step" })
}
