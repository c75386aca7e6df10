//! Packages. Whoever writes one wants every problem at once, so these conversions gather them instead of stopping at the first.
//!
//! Invariant: the hash of a package is that of the message into which the core's value converts: the form in which the journal keeps it and
//! `Packages.Get` returns it. Packages that mean the same have one hash.

use std::fmt::Write as _;

use medsettle_core::catalogue::{Catalogue, CeilingOrder, Item};
use medsettle_core::ids::Hash32;
use medsettle_core::money::{Fen, UnitPrice};
use medsettle_core::policy::{
    AccountUse, Adjustment, AdmissionRange, AnyOf, Band, BenefitPolicy, CapMeasure, Category, DeductibleRow,
    FilingAdjustment, InsuranceType, Layer, Level, OnTransfer, Problem,
};
use medsettle_core::region::Region;
use prost::Message as _;

use super::check::{Checked, Fault, amount, day, given_text, optional_day, region, text};
use super::coded::{Coded, coded};
use crate::limits::{MAX_ITEM_CODE, MAX_LABEL, MAX_NAME};
use crate::v1;

/// Problems found so far, and where the reading is.
#[derive(Default)]
pub(super) struct Found {
    place: String,
    problems: Vec<Problem>,
}

impl Found {
    /// The value, or a note of what is wrong with it.
    pub(super) fn take<T>(&mut self, field: &str, value: Checked<T>) -> Option<T> {
        let error = match value {
            Ok(value) => return Some(value),
            Err(fault) => fault.into_error(),
        };
        let error = error.inside(field, None);
        self.problems.push(Problem { path: format!("{}{}", self.place, error.field), message: error.problem.into() });
        None
    }

    /// Every value of a repeated field; none where one of them has a problem.
    pub(super) fn each<M, T>(
        &mut self,
        field: &str,
        values: &[M],
        convert: impl Fn(&M, &mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let length = self.place.len();
        let mut converted = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            write!(self.place, "{field}[{index}].").expect("a string takes everything");
            converted.extend(convert(value, self));
            self.place.truncate(length);
        }
        (converted.len() == values.len()).then_some(converted)
    }

    fn any_of<T: Coded + Into<u8>>(&mut self, field: &str, numbers: &[i32]) -> Option<AnyOf<T>> {
        let values = numbers.iter().map(|number| coded(*number)).collect::<Checked<Vec<T>>>();
        self.take(field, values).map(|values| AnyOf::of(&values))
    }

    fn labels(&mut self, field: &str, labels: &[String]) -> Option<Vec<String>> {
        let label = |label: &String| given_text(label.clone(), MAX_LABEL).map(String::from);
        let labels = labels.iter().map(label).collect();
        self.take(field, labels)
    }

    #[expect(
        clippy::option_option,
        reason = "the outer one says that it was read, the inner one that there is a bound"
    )]
    fn bound(&mut self, field: &str, fen: Option<i64>) -> Option<Option<Fen>> {
        self.take(field, fen.map(amount).transpose())
    }

    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, Vec<Problem>> {
        value.filter(|_| self.problems.is_empty()).ok_or(self.problems)
    }
}

/// A list as the message writes it: empty where it names none.
fn listed<T: Coded + Into<u8> + PartialEq + 'static>(chosen: AnyOf<T>, all: &[T]) -> Vec<i32> {
    if chosen == AnyOf::ANY {
        return Vec::new();
    }
    all.iter().filter(|value| chosen.includes(**value)).map(|value| value.number()).collect()
}

/// The policy of a message.
pub(crate) fn policy(message: &v1::BenefitPolicy) -> Result<BenefitPolicy, Vec<Problem>> {
    let mut found = Found::default();
    let region = found.take("region", region(&message.region));
    let insurance_type = found.take("insurance_type", coded(message.insurance_type));
    let visit_kind = found.take("visit_kind", coded(message.visit_kind));
    let effective_from = found.take("effective_from", day(&message.effective_from));
    let effective_to = found.take("effective_to", optional_day(message.effective_to.as_ref()));
    let deductibles = found.each("deductibles", &message.deductibles, deductible);
    let deductible_year_cap = found.bound("deductible_year_cap_fen", message.deductible_year_cap_fen);
    let band_measure = found.take("band_measure", coded(message.band_measure));
    let band_basis = found.take("band_basis", coded(message.band_basis));
    let layers = found.each("layers", &message.layers, layer);
    let filing_adjustments = found.each("filing_adjustments", &message.filing_adjustments, filing_adjustment);
    let unfiled = found.take("unfiled", coded(message.unfiled));
    let unfiled_adjustment = match message.unfiled_adjustment {
        Some(v1::Adjustment { mode, value_bp }) => {
            found.take("unfiled_adjustment.mode", coded(mode)).map(|mode| Some(Adjustment { mode, value_bp }))
        }
        None => Some(None),
    };
    let cross_year = found.take("cross_year", coded(message.cross_year));
    let on_cancel = found.take("on_cancel", coded(message.on_cancel));
    let build = || {
        Some(BenefitPolicy {
            region: region?,
            insurance_type: insurance_type?,
            visit_kind: visit_kind?,
            counter: Coded::from_number(message.counter),
            effective_from: effective_from?,
            effective_to: effective_to?,
            deductibles: deductibles?,
            deductible_year_cap: deductible_year_cap?,
            band_measure: band_measure?,
            band_basis: band_basis?,
            layers: layers?,
            filing_adjustments: filing_adjustments?,
            unfiled: unfiled?,
            unfiled_adjustment: unfiled_adjustment?,
            cross_year: cross_year?,
            on_cancel: on_cancel?,
            account_use: Coded::from_number(message.account_use).unwrap_or(AccountUse::Allowed),
            family_use: Coded::from_number(message.family_use).unwrap_or(AccountUse::Allowed),
            on_transfer: Coded::from_number(message.on_transfer).unwrap_or(OnTransfer::Carry),
        })
    };
    found.finish(build())
}

fn deductible(message: &v1::Deductible, found: &mut Found) -> Option<DeductibleRow> {
    let levels = found.any_of("levels", &message.levels);
    let categories = found.any_of("categories", &message.categories);
    let entitlements = found.labels("entitlements", &message.entitlements);
    let admission = if message.admission.is_empty() {
        Ok(AdmissionRange::ANY)
    } else {
        AdmissionRange::parse(&message.admission)
            .ok_or_else(|| Fault::here("must be a number of 1 to 99, with + for later ones"))
    };
    let admission = found.take("admission", admission);
    let amount = found.take("amount_fen", amount(message.amount_fen));
    Some(DeductibleRow {
        levels: levels?,
        categories: categories?,
        entitlements: entitlements?,
        admission: admission?,
        amount: amount?,
    })
}

fn layer(message: &v1::Layer, found: &mut Found) -> Option<Layer> {
    let fund = found.take("fund", coded(message.fund));
    let base = found.take("base", coded(message.base));
    let entitlements = found.labels("entitlements", &message.entitlements);
    let bands = found.each("bands", &message.bands, band);
    let annual_cap = found.bound("annual_cap_fen", message.annual_cap_fen);
    Some(Layer {
        fund: fund?,
        base: base?,
        deductible_counts: message.deductible_counts.unwrap_or(true),
        entitlements: entitlements?,
        bands: bands?,
        annual_cap: annual_cap?,
        cap_measure: Coded::from_number(message.cap_measure).unwrap_or(CapMeasure::Fund),
    })
}

fn band(message: &v1::Band, found: &mut Found) -> Option<Band> {
    let levels = found.any_of("levels", &message.levels);
    let categories = found.any_of("categories", &message.categories);
    let entitlements = found.labels("entitlements", &message.entitlements);
    let from = found.take("from_fen", amount(message.from_fen));
    let to = found.bound("to_fen", message.to_fen);
    Some(Band {
        levels: levels?,
        categories: categories?,
        entitlements: entitlements?,
        from: from?,
        to: to?,
        rate_bp: message.rate_bp,
    })
}

fn filing_adjustment(message: &v1::FilingAdjustment, found: &mut Found) -> Option<FilingAdjustment> {
    let kind = found.take("kind", coded(message.kind));
    let mode = found.take("mode", coded(message.mode));
    Some(FilingAdjustment {
        kind: kind?,
        scope: Coded::from_number(message.scope),
        adjustment: Adjustment { mode: mode?, value_bp: message.value_bp },
    })
}

pub(crate) fn from_policy(policy: &BenefitPolicy) -> v1::BenefitPolicy {
    v1::BenefitPolicy {
        region: policy.region.to_string(),
        insurance_type: policy.insurance_type.number(),
        visit_kind: policy.visit_kind.number(),
        counter: policy.counter.map_or(0, Coded::number),
        effective_from: policy.effective_from.to_string(),
        effective_to: policy.effective_to.map(|day| day.to_string()),
        deductibles: policy.deductibles.iter().map(from_deductible).collect(),
        deductible_year_cap_fen: policy.deductible_year_cap.map(|cap| cap.0),
        band_measure: policy.band_measure.number(),
        band_basis: policy.band_basis.number(),
        layers: policy.layers.iter().map(from_layer).collect(),
        filing_adjustments: policy.filing_adjustments.iter().map(from_filing_adjustment).collect(),
        unfiled: policy.unfiled.number(),
        unfiled_adjustment: policy
            .unfiled_adjustment
            .map(|adjustment| v1::Adjustment { mode: adjustment.mode.number(), value_bp: adjustment.value_bp }),
        cross_year: policy.cross_year.number(),
        on_cancel: policy.on_cancel.number(),
        account_use: policy.account_use.number(),
        family_use: policy.family_use.number(),
        on_transfer: policy.on_transfer.number(),
    }
}

fn from_deductible(row: &DeductibleRow) -> v1::Deductible {
    let every_admission = row.admission == AdmissionRange::ANY;
    v1::Deductible {
        levels: listed(row.levels, Level::ALL),
        categories: listed(row.categories, Category::ALL),
        entitlements: row.entitlements.clone(),
        admission: if every_admission { String::new() } else { row.admission.to_string() },
        amount_fen: row.amount.0,
    }
}

fn from_layer(layer: &Layer) -> v1::Layer {
    v1::Layer {
        fund: layer.fund.number(),
        base: layer.base.number(),
        deductible_counts: Some(layer.deductible_counts),
        entitlements: layer.entitlements.clone(),
        bands: layer.bands.iter().map(from_band).collect(),
        annual_cap_fen: layer.annual_cap.map(|cap| cap.0),
        cap_measure: layer.cap_measure.number(),
    }
}

fn from_band(band: &Band) -> v1::Band {
    v1::Band {
        levels: listed(band.levels, Level::ALL),
        categories: listed(band.categories, Category::ALL),
        entitlements: band.entitlements.clone(),
        from_fen: band.from.0,
        to_fen: band.to.map(|to| to.0),
        rate_bp: band.rate_bp,
    }
}

fn from_filing_adjustment(row: &FilingAdjustment) -> v1::FilingAdjustment {
    v1::FilingAdjustment {
        kind: row.kind.number(),
        scope: row.scope.map_or(0, Coded::number),
        mode: row.adjustment.mode.number(),
        value_bp: row.adjustment.value_bp,
    }
}

/// The catalogue of a message.
pub(crate) fn catalogue(message: &v1::Catalogue) -> Result<Catalogue, Vec<Problem>> {
    let mut found = Found::default();
    let region = found.take("region", region(&message.region));
    let effective_from = found.take("effective_from", day(&message.effective_from));
    let effective_to = found.take("effective_to", optional_day(message.effective_to.as_ref()));
    let order = Coded::from_number(message.split_order).unwrap_or(CeilingOrder::CeilingFirst);
    let items = found.each("items", &message.items, item);
    let build = || Some(Catalogue::new(region?, effective_from?, effective_to?, order, items?));
    found.finish(build())
}

fn item(message: &v1::CatalogueItem, found: &mut Found) -> Option<Item> {
    let code = found.take("code", given_text(message.code.clone(), MAX_ITEM_CODE));
    let name = found.take("name", text(message.name.clone(), MAX_NAME));
    let class = found.take("class", coded(message.class));
    let first_pay_bp = found.take("first_pay", first_pay(&message.first_pay));
    let ceilings = found.take("ceilings", ceilings(&message.ceilings));
    Some(Item { code: code?, name: name?, class: class?, first_pay_bp: first_pay_bp?, ceilings: ceilings? })
}

fn first_pay(rows: &[v1::FirstPay]) -> Checked<[Option<u32>; InsuranceType::ALL.len()]> {
    let mut ratios = [None; InsuranceType::ALL.len()];
    for row in rows {
        let insurance_type: InsuranceType =
            coded(row.insurance_type).map_err(|_| Fault::here("names no insurance type"))?;
        if ratios[insurance_type as usize].replace(row.first_pay_bp).is_some() {
            return Err(Fault::here("names an insurance type twice"));
        }
    }
    Ok(ratios)
}

fn ceilings(rows: &[v1::Ceiling]) -> Checked<[Option<UnitPrice>; Level::ALL.len()]> {
    let mut named = [None; Level::ALL.len()];
    let mut others = None;
    for row in rows {
        let price =
            UnitPrice::parse(&row.price).ok_or_else(|| Fault::here("holds no price with at most 6 decimals"))?;
        let place = Level::from_number(row.level).map_or(&mut others, |level| &mut named[level as usize]);
        if place.replace(price).is_some() {
            return Err(Fault::here("names a level twice"));
        }
    }
    Ok(named.map(|price| price.or(others)))
}

pub(crate) fn from_catalogue(catalogue: &Catalogue) -> v1::Catalogue {
    v1::Catalogue {
        region: catalogue.region.to_string(),
        effective_from: catalogue.effective_from.to_string(),
        effective_to: catalogue.effective_to.map(|day| day.to_string()),
        split_order: catalogue.ceiling_order.number(),
        items: catalogue.items().iter().map(from_item).collect(),
    }
}

fn from_item(item: &Item) -> v1::CatalogueItem {
    let first_pay = InsuranceType::ALL.iter().zip(item.first_pay_bp).filter_map(|(insurance_type, ratio)| {
        Some(v1::FirstPay { insurance_type: insurance_type.number(), first_pay_bp: ratio? })
    });
    v1::CatalogueItem {
        code: item.code.to_string(),
        name: item.name.to_string(),
        class: item.class.number(),
        first_pay: first_pay.collect(),
        ceilings: from_ceilings(&item.ceilings),
    }
}

/// One row for all levels where the price is the same, else a row for each.
fn from_ceilings(ceilings: &[Option<UnitPrice>; Level::ALL.len()]) -> Vec<v1::Ceiling> {
    if let [Some(price), others @ ..] = ceilings
        && others.iter().all(|other| *other == Some(*price))
    {
        return vec![v1::Ceiling { level: 0, price: price.to_string() }];
    }
    let row = |(level, price): (&Level, &Option<UnitPrice>)| {
        price.map(|price| v1::Ceiling { level: level.number(), price: price.to_string() })
    };
    Level::ALL.iter().zip(ceilings).filter_map(row).collect()
}

/// The tree of regions of a message.
pub(crate) fn regions(messages: &[v1::Region]) -> Result<Vec<Region>, Vec<Problem>> {
    let mut found = Found::default();
    let regions = found.each("regions", messages, |message, found| {
        let code = found.take("code", region(&message.code));
        let name = found.take("name", given_text(message.name.clone(), MAX_NAME));
        let parent = Some(&message.parent).filter(|parent| !parent.is_empty());
        let parent = found.take("parent", parent.map(|parent| region(parent)).transpose());
        Some(Region { code: code?, name: name?, parent: parent?, home: message.home })
    });
    found.finish(regions)
}

pub(crate) fn from_regions(regions: &[Region]) -> Vec<v1::Region> {
    let one = |region: &Region| v1::Region {
        code: region.code.to_string(),
        name: region.name.to_string(),
        parent: region.parent.map(|parent| parent.to_string()).unwrap_or_default(),
        home: region.home,
    };
    regions.iter().map(one).collect()
}

/// Hash of a policy package.
pub(crate) fn policy_hash(policy: &BenefitPolicy) -> Hash32 {
    hash(&from_policy(policy).encode_to_vec())
}

/// Hash of a catalogue.
pub(crate) fn catalogue_hash(catalogue: &Catalogue) -> Hash32 {
    hash(&from_catalogue(catalogue).encode_to_vec())
}

/// Hash of a tree of regions: of the request that installs it, without its header.
pub(crate) fn regions_hash(regions: &[Region]) -> Hash32 {
    hash(&v1::PackagesInstallRegionsRequest { header: None, regions: from_regions(regions) }.encode_to_vec())
}

pub(super) fn hash(bytes: &[u8]) -> Hash32 {
    Hash32(*blake3::hash(bytes).as_bytes())
}
