//! What the contract says about a method: its name and path, who may call it, and whether it changes anything.

use std::fmt;

use crate::contract::Operation;
pub use crate::v1::role::Kind as Role;

/// A set of roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RoleSet(u16);

impl RoleSet {
    /// No role; as the roles of a method, nobody.
    pub const EMPTY: Self = Self(0);

    /// The set of these roles. `UNSPECIFIED` is no role and adds nothing, so that it can never open a method.
    pub const fn of(roles: &[Role]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < roles.len() {
            if !matches!(roles[index], Role::Unspecified) {
                bits |= 1 << roles[index] as i32;
            }
            index += 1;
        }
        Self(bits)
    }

    /// Whether one of the roles is in both sets: a caller with `self` may call a method with `other`.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the role is in the set.
    pub const fn contains(self, role: Role) -> bool {
        self.intersects(Self::of(&[role]))
    }
}

/// A method of the contract.
#[derive(Debug)]
pub struct Method {
    /// The service, such as `Inpatient`.
    pub service: &'static str,
    /// The method's own name, such as `Settle`.
    pub method: &'static str,
    /// Both, as refusals and records name it: `Inpatient.Settle`.
    pub name: &'static str,
    /// The path of its gRPC call: `/medsettle.v1.Inpatient/Settle`.
    pub path: &'static str,
    /// Its number, as a command or for a page of its stream; none where the engine does not answer it by itself.
    pub operation: Option<Operation>,
    /// Who may call it.
    pub roles: RoleSet,
    /// It changes nothing.
    pub read: bool,
    /// Its request or its response is a stream.
    pub streaming: bool,
}

impl Operation {
    /// The number in the contract, never reused.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Such as `Inpatient.Settle`.
    pub fn name(self) -> &'static str {
        self.method().name
    }

    /// Who may ask for it.
    pub fn roles(self) -> RoleSet {
        self.method().roles
    }

    /// It changes nothing.
    pub fn is_read(self) -> bool {
        self.method().read
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::METHODS;

    #[test]
    fn an_unspecified_role_opens_nothing() {
        let nobody = RoleSet::of(&[Role::Unspecified]);
        assert_eq!(nobody, RoleSet::EMPTY);
        assert!(METHODS.iter().all(|method| !method.roles.intersects(nobody)));
    }

    #[test]
    fn a_hospital_may_settle_and_may_not_enroll() {
        let hospital = RoleSet::of(&[Role::Hospital]);
        assert!(hospital.intersects(Operation::InpatientSettle.roles()));
        assert!(!hospital.intersects(Operation::PersonsEnroll.roles()));
        assert!(Operation::InpatientSettle.roles().contains(Role::Hub));
    }

    #[test]
    fn every_operation_is_found_by_its_number_and_has_its_method() {
        for operation in Operation::ALL {
            assert_eq!(Operation::from_number(operation.number()), Some(operation));
            assert_eq!(operation.method().operation, Some(operation));
        }
        assert_eq!(Operation::from_number(0), None);
        assert_eq!(Operation::InpatientSettle.number(), 709);
        assert_eq!(Operation::InpatientSettle.to_string(), "Inpatient.Settle");
        assert_eq!(Operation::InpatientSettle.method().path, "/medsettle.v1.Inpatient/Settle");
    }

    #[test]
    fn what_cannot_be_a_command_is_still_a_method_with_roles() {
        let others: Vec<_> = METHODS.iter().filter(|method| method.operation.is_none()).collect();
        let names: Vec<_> = others.iter().map(|method| method.name).collect();
        assert_eq!(names, ["Batch.Stream", "Batch.Submit"]);
        assert!(others.iter().all(|method| method.roles != RoleSet::EMPTY));
        for stream in
            [Operation::AccountsStatement, Operation::OperationsTakeJournal, Operation::OperationsTakeSnapshot]
        {
            assert!(stream.method().streaming && stream.is_read(), "{stream}");
        }
        assert!(Operation::InpatientQuote.is_read() && !Operation::InpatientSettle.is_read());
    }
}
