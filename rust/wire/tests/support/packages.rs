//! Arbitrary packages: policies and catalogues that need not make sense.

use super::*;

impl Arbitrary {
    fn any_of<T: Copy + Into<u8>>(&mut self, all: &[T]) -> AnyOf<T> {
        let chosen: Vec<T> = all.iter().copied().filter(|_| self.flag()).collect();
        AnyOf::of(&chosen)
    }

    pub(super) fn labels(&mut self) -> Vec<String> {
        self.some(|a| a.word().into())
    }

    pub(super) fn policy(&mut self) -> BenefitPolicy {
        BenefitPolicy {
            region: self.region(),
            insurance_type: self.pick(InsuranceType::ALL),
            visit_kind: self.pick(VisitKind::ALL),
            counter: self.maybe(|a| a.pick(Counter::ALL)),
            effective_from: self.day(),
            effective_to: self.maybe(Self::day),
            deductibles: self.some(|a| DeductibleRow {
                levels: a.any_of(Level::ALL),
                categories: a.any_of(Category::ALL),
                entitlements: a.labels(),
                admission: AdmissionRange::parse(a.pick(&["1", "2", "1+", "3+", "99"])).unwrap(),
                amount: a.amount(),
            }),
            deductible_year_cap: self.maybe(Self::amount),
            band_measure: self.pick(BandMeasure::ALL),
            band_basis: self.pick(BandBasis::ALL),
            layers: self.some(|a| Layer {
                fund: a.pick(Fund::ALL),
                base: a.pick(LayerBase::ALL),
                deductible_counts: a.flag(),
                entitlements: a.labels(),
                bands: a.some(|a| Band {
                    levels: a.any_of(Level::ALL),
                    categories: a.any_of(Category::ALL),
                    entitlements: a.labels(),
                    from: a.amount(),
                    to: a.maybe(Self::amount),
                    rate_bp: a.number(),
                }),
                annual_cap: a.maybe(Self::amount),
                cap_measure: a.pick(CapMeasure::ALL),
            }),
            filing_adjustments: self.some(|a| FilingAdjustment {
                kind: a.pick(FilingKind::ALL),
                scope: a.maybe(|a| a.pick(Scope::ALL)),
                adjustment: a.adjustment(),
            }),
            unfiled: self.pick(Unfiled::ALL),
            unfiled_adjustment: self.maybe(Self::adjustment),
            cross_year: self.pick(CrossYear::ALL),
            on_cancel: self.pick(OnCancel::ALL),
            account_use: self.pick(AccountUse::ALL),
            family_use: self.pick(AccountUse::ALL),
            on_transfer: self.pick(OnTransfer::ALL),
        }
    }

    fn adjustment(&mut self) -> Adjustment {
        Adjustment { mode: self.pick(Mode::ALL), value_bp: self.number() }
    }

    pub(super) fn unit_price(&mut self) -> UnitPrice {
        UnitPrice::from_millionths(self.below(10_000_000_000_000_000).cast_signed()).unwrap()
    }

    pub(super) fn class(&mut self) -> ItemClass {
        self.pick(&[ItemClass::A, ItemClass::B, ItemClass::C])
    }

    pub(super) fn catalogue(&mut self) -> Catalogue {
        let same_everywhere = self.maybe(Self::unit_price);
        let items = self.some(|a| Item {
            code: a.word(),
            name: a.text().into(),
            class: a.class(),
            first_pay_bp: [a.maybe(Self::number), a.maybe(Self::number)],
            ceilings: if a.flag() { [same_everywhere; 4] } else { [(); 4].map(|()| a.maybe(Self::unit_price)) },
        });
        let order = self.pick(&[CeilingOrder::CeilingFirst, CeilingOrder::FirstPayFirst]);
        Catalogue::new(self.region(), self.day(), self.maybe(Self::day), order, items)
    }
}
