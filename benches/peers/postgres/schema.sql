-- What one settlement of a visit reads and writes, as tables.
--
-- Money is in fen, prices in yuan, shares in hundredths of a percent. Where a choice was free it was made in favour of speed: keys are
-- numbers, rows that change leave room on their page, the lines of a bill lie in the row of its settlement, and no balance of a fund or an
-- institution is kept that all settlements would have to wait for.

CREATE TYPE card_state AS ENUM ('IN_USE', 'LOST', 'CANCELLED');
CREATE TYPE item_class AS ENUM ('A', 'B', 'C');

CREATE TABLE institution (
    code text PRIMARY KEY,
    level text NOT NULL,
    networked boolean NOT NULL
);

-- The terms of one place of care: ceiling and first pay are those of its level and of the insurance.
CREATE TABLE item (
    code text PRIMARY KEY,
    class item_class NOT NULL,
    ceiling_yuan numeric,
    first_pay_bp bigint NOT NULL
);

CREATE TABLE policy (
    id integer PRIMARY KEY,
    region text NOT NULL,
    insurance_type text NOT NULL,
    effective_from date NOT NULL,
    -- Whether the deductible fills the lowest band or lies before it.
    bands_begin_at_deductible boolean NOT NULL,
    deductible_year_cap_fen bigint,
    pool_year_cap_fen bigint,
    account_allowed boolean NOT NULL
);
CREATE INDEX ON policy (region, insurance_type, effective_from);

CREATE TABLE deductible (
    policy_id integer NOT NULL REFERENCES policy,
    level text NOT NULL,
    category text NOT NULL,
    amount_fen bigint NOT NULL,
    PRIMARY KEY (policy_id, level, category)
);

CREATE TABLE band (
    policy_id integer NOT NULL REFERENCES policy,
    from_fen bigint NOT NULL,
    to_fen bigint,
    rate_bp bigint NOT NULL,
    PRIMARY KEY (policy_id, from_fen)
);

CREATE TABLE person (
    id bigint PRIMARY KEY,
    region text NOT NULL,
    insurance_type text NOT NULL,
    category text NOT NULL,
    insured_from date NOT NULL
);

CREATE TABLE account (
    person_id bigint PRIMARY KEY REFERENCES person,
    balance_fen bigint NOT NULL CHECK (balance_fen >= 0)
) WITH (fillfactor = 70);

CREATE TABLE card (
    pan bigint PRIMARY KEY,
    person_id bigint NOT NULL REFERENCES person,
    state card_state NOT NULL,
    atc integer NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE accumulator (
    person_id bigint NOT NULL REFERENCES person,
    year integer NOT NULL,
    eligible_fen bigint NOT NULL,
    deductible_fen bigint NOT NULL,
    pool_fen bigint NOT NULL,
    account_fen bigint NOT NULL,
    PRIMARY KEY (person_id, year)
) WITH (fillfactor = 70);

CREATE TABLE settlement (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_id text NOT NULL UNIQUE,
    -- Of what was asked, so that the same id with another request is told apart.
    digest bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    institution text NOT NULL REFERENCES institution,
    person_id bigint NOT NULL REFERENCES person,
    pan bigint NOT NULL REFERENCES card,
    atc integer NOT NULL,
    visit_day date NOT NULL,
    policy_id integer NOT NULL REFERENCES policy,
    items text[] NOT NULL,
    quantities numeric[] NOT NULL,
    prices_yuan numeric[] NOT NULL,
    total_fen bigint NOT NULL,
    own_pay_fen bigint NOT NULL,
    over_ceiling_fen bigint NOT NULL,
    first_pay_fen bigint NOT NULL,
    in_scope_fen bigint NOT NULL,
    deductible_fen bigint NOT NULL,
    pool_fen bigint NOT NULL,
    account_fen bigint NOT NULL,
    cash_fen bigint NOT NULL,
    balance_after_fen bigint NOT NULL,
    CHECK (total_fen = own_pay_fen + over_ceiling_fen + first_pay_fen + in_scope_fen),
    CHECK (total_fen = pool_fen + account_fen + cash_fen)
);

-- What an account owes or has received is positive, what it paid or gave negative; the legs of a settlement sum to zero.
CREATE TABLE leg (
    settlement_id bigint NOT NULL REFERENCES settlement,
    account text NOT NULL,
    amount_fen bigint NOT NULL,
    PRIMARY KEY (settlement_id, account)
);

-- The answer to a request: a settlement, or a reason why not.
CREATE TYPE answer AS (
    reason text,
    replayed boolean,
    settlement_id bigint,
    total_fen bigint,
    own_pay_fen bigint,
    over_ceiling_fen bigint,
    first_pay_fen bigint,
    in_scope_fen bigint,
    deductible_fen bigint,
    pool_fen bigint,
    account_fen bigint,
    cash_fen bigint,
    balance_after_fen bigint
);
