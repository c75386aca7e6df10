//! The catalogue package of a care region: what an item is and on which terms it is eligible.
//!
//! Invariant: a code stands once in a catalogue that passed its check, and lookup never depends on the package's order.
//! Leaves out: the arithmetic of a line (`benefit::line`) and finding the catalogue in force (its registry).

use serde::{Deserialize, Serialize};

use crate::calendar::Date;
use crate::ids::RegionCode;
use crate::money::{BASIS_POINTS, UnitPrice};
use crate::policy::{InsuranceType, Level, Problem};

/// Class of an item, `chrgitm_lv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ItemClass {
    /// Wholly eligible.
    A,
    /// Eligible after a first-pay share.
    B,
    /// Not eligible.
    C,
}

/// Which is taken off first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CeilingOrder {
    /// What is above the ceiling; the first-pay share is one of the rest.
    #[default]
    CeilingFirst,
    /// The first-pay share of the whole price; the ceiling bounds the rest.
    FirstPayFirst,
}

/// One item of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// National code.
    pub code: Box<str>,
    /// Name for people.
    pub name: Box<str>,
    /// Class.
    pub class: ItemClass,
    /// First-pay ratio of class B by insurance type, in the order of [`InsuranceType::ALL`].
    pub first_pay_bp: [Option<u32>; InsuranceType::ALL.len()],
    /// Price ceiling by institution level, in the order of [`Level::ALL`].
    pub ceilings: [Option<UnitPrice>; Level::ALL.len()],
}

/// What decides how a line of an item is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Class.
    pub class: ItemClass,
    /// First-pay ratio; only class B has one.
    pub first_pay_bp: u32,
    /// The highest eligible unit price.
    pub ceiling: Option<UnitPrice>,
    /// Which is taken off first.
    pub order: CeilingOrder,
}

impl Terms {
    /// The person's own expense, or a restriction of use that is not met: class C whatever the item.
    pub const OWN_EXPENSE: Self =
        Self { class: ItemClass::C, first_pay_bp: 0, ceiling: None, order: CeilingOrder::CeilingFirst };
}

/// Why a catalogue has no terms for a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// No such code.
    #[error("the catalogue has no such item")]
    ItemUnknown,
    /// Class B, but no first-pay ratio for the insurance type.
    #[error("the item has no first-pay ratio for insurance type {0}")]
    NoFirstPay(InsuranceType),
}

/// The items of one region, in force from a day on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// The care region.
    pub region: RegionCode,
    /// First day in force.
    pub effective_from: Date,
    /// Last day in force; `None` until replaced.
    pub effective_to: Option<Date>,
    /// Which is taken off first.
    pub ceiling_order: CeilingOrder,
    items: Box<[Item]>,
    /// Positions in `items`, by code.
    by_code: Box<[u32]>,
}

impl Catalogue {
    /// Makes the items findable; the caller runs [`Catalogue::check`] before it installs them.
    pub fn new(
        region: RegionCode,
        effective_from: Date,
        effective_to: Option<Date>,
        ceiling_order: CeilingOrder,
        items: Vec<Item>,
    ) -> Self {
        let items = items.into_boxed_slice();
        let count = u32::try_from(items.len()).expect("a package fits one message, far below 2^32 items");
        let mut by_code: Box<[u32]> = (0..count).collect();
        by_code.sort_by_key(|position| &items[*position as usize].code);
        Self { region, effective_from, effective_to, ceiling_order, items, by_code }
    }

    /// The items in the package's order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Whether the package is in force on that day.
    pub fn in_force_on(&self, day: Date) -> bool {
        self.effective_from <= day && self.effective_to.is_none_or(|last| day <= last)
    }

    /// The item of that code.
    pub fn item(&self, code: &str) -> Option<&Item> {
        let found = self.by_code.binary_search_by(|position| (*self.items[*position as usize].code).cmp(code)).ok()?;
        Some(&self.items[self.by_code[found] as usize])
    }

    /// On which terms a line of that item is split.
    pub fn terms(&self, code: &str, insurance_type: InsuranceType, level: Level) -> Result<Terms, TermsError> {
        let item = self.item(code).ok_or(TermsError::ItemUnknown)?;
        let first_pay_bp = match item.class {
            ItemClass::B => item.first_pay_bp[insurance_type as usize].ok_or(TermsError::NoFirstPay(insurance_type))?,
            ItemClass::A | ItemClass::C => 0,
        };
        let ceiling = item.ceilings[level as usize];
        Ok(Terms { class: item.class, first_pay_bp, ceiling, order: self.ceiling_order })
    }

    /// Finds every problem, in the package's order.
    pub fn check(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        if self.effective_to.is_some_and(|last| last < self.effective_from) {
            found.push(Problem::new("effective_to", "lies before effective_from"));
        }
        if self.items.is_empty() {
            found.push(Problem::new("items", "at least one item must be listed"));
        }
        for (index, item) in self.items.iter().enumerate() {
            check_item(index, item, &mut found);
        }
        let mut repeated: Vec<(u32, u32)> = self
            .by_code
            .windows(2)
            .filter(|pair| self.items[pair[0] as usize].code == self.items[pair[1] as usize].code)
            .map(|pair| (pair[1], pair[0]))
            .collect();
        repeated.sort_unstable();
        for (index, earlier) in repeated {
            found.push(Problem::new(format!("items[{index}].code"), format!("repeats items[{earlier}]")));
        }
        found
    }
}

fn check_item(index: usize, item: &Item, found: &mut Vec<Problem>) {
    if item.code.is_empty() {
        found.push(Problem::new(format!("items[{index}].code"), "is missing"));
    }
    if item.class == ItemClass::B && item.first_pay_bp.iter().all(Option::is_none) {
        found.push(Problem::new(format!("items[{index}].first_pay_bp"), "class B needs a ratio"));
    }
    if item.first_pay_bp.iter().flatten().any(|ratio| *ratio > BASIS_POINTS) {
        found.push(Problem::new(format!("items[{index}].first_pay_bp"), "is over 100 %"));
    }
}
