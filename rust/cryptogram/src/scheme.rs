//! The schemes by which cards and issuer share a secret, and their names in the contract and in files.
//!
//! Invariant: a scheme is never guessed or replaced by another; whoever calls has it from the issuer's key.

/// How keys are derived, which MAC is computed and how it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Third-generation social-security cards: SM4 (JR/T 0025.17-2013).
    PbocSm4,
    /// Second-generation social-security cards: two-key triple DES (JR/T 0025.7-2013).
    PbocTdes,
    /// EMV common session key with two-key triple DES (EMV 4.4 Book 2).
    EmvCskTdes,
    /// EMV common session key with AES-128 (EMV 4.4 Book 2).
    EmvAes,
}

/// The block cipher of a scheme. All requests of one cipher can be verified together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cipher {
    Tdes,
    Sm4,
    Aes,
}

impl Scheme {
    /// Every scheme.
    pub const ALL: [Self; 4] = [Self::PbocSm4, Self::PbocTdes, Self::EmvCskTdes, Self::EmvAes];

    /// Return the name used in the contract and in the key-ring file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PbocSm4 => "PBOC_SM4",
            Self::PbocTdes => "PBOC_TDES",
            Self::EmvCskTdes => "EMV_CSK_TDES",
            Self::EmvAes => "EMV_AES",
        }
    }

    /// Find the scheme of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.name() == name)
    }

    pub(crate) const fn cipher(self) -> Cipher {
        match self {
            Self::PbocTdes | Self::EmvCskTdes => Cipher::Tdes,
            Self::PbocSm4 => Cipher::Sm4,
            Self::EmvAes => Cipher::Aes,
        }
    }

    /// Whether the keys of this scheme are triple-DES keys, whose bytes carry a parity bit.
    pub const fn is_tdes(self) -> bool {
        matches!(self, Self::PbocTdes | Self::EmvCskTdes)
    }
}

/// The issuer's choice of card-key derivation. Only [`Scheme::EmvCskTdes`] knows a choice; the others have one rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Derivation {
    /// EMV option B, which is option A up to 16 digits of PAN and hashes a longer one.
    #[default]
    ByPanLength,
    /// EMV option A whatever the length: of a longer PAN only the rightmost digits count.
    OptionA,
}

impl Derivation {
    /// Both choices.
    pub const ALL: [Self; 2] = [Self::ByPanLength, Self::OptionA];

    /// Return the name used in the key-ring file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ByPanLength => "BY_PAN_LENGTH",
            Self::OptionA => "OPTION_A",
        }
    }

    /// Find the derivation of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|derivation| derivation.name() == name)
    }
}
