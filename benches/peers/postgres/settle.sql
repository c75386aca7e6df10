-- One settlement of a visit, decided and made durable in one transaction.
--
-- The card is locked, then the account of its person: whatever changes what the person has used or owns passes the second lock. Refusals
-- change nothing and are answers, not errors. Rounding is half away from zero, once for each amount, as `round(numeric)` does it.
--
-- Left out: the cryptogram, which a hub verifies for every presentation; PostgreSQL is spared it.

CREATE FUNCTION refused(reason text) RETURNS answer LANGUAGE sql IMMUTABLE AS $$
    SELECT ROW(reason, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::answer
$$;

CREATE FUNCTION settle(
    p_request_id text, p_institution text, p_pan bigint, p_atc integer, p_day date,
    p_items text[], p_quantities numeric[], p_prices_yuan numeric[], p_total_fen bigint, p_account_request_fen bigint
) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_digest constant bytea := sha256(convert_to(concat_ws(
        '|', p_institution, p_pan, p_atc, p_day, p_items, p_quantities, p_prices_yuan, p_total_fen, p_account_request_fen), 'UTF8'));
    v_card card;
    v_account account;
    v_place institution;
    v_person person;
    v_policy policy;
    v_used accumulator;
    v_earlier settlement;
    v_item item;
    v_line bigint;
    v_over bigint;
    v_first bigint;
    v_total bigint := 0;
    v_own_pay bigint := 0;
    v_over_ceiling bigint := 0;
    v_first_pay bigint := 0;
    v_in_scope bigint;
    v_deductible bigint := 0;
    v_begin bigint;
    v_pool bigint;
    v_available bigint;
    v_cash bigint;
    v_id bigint;
BEGIN
    SELECT * INTO v_card FROM card WHERE pan = p_pan FOR UPDATE;
    IF NOT FOUND THEN RETURN refused('CARD_UNKNOWN'); END IF;

    SELECT * INTO v_earlier FROM settlement WHERE request_id = p_request_id;
    IF FOUND THEN
        IF v_earlier.digest <> v_digest THEN RETURN refused('REQUEST_ID_REUSED'); END IF;
        RETURN ROW('', true, v_earlier.id, v_earlier.total_fen, v_earlier.own_pay_fen, v_earlier.over_ceiling_fen,
            v_earlier.first_pay_fen, v_earlier.in_scope_fen, v_earlier.deductible_fen, v_earlier.pool_fen, v_earlier.account_fen,
            v_earlier.cash_fen, v_earlier.balance_after_fen)::answer;
    END IF;

    SELECT * INTO v_place FROM institution WHERE code = p_institution;
    IF NOT FOUND THEN RETURN refused('INSTITUTION_UNKNOWN'); END IF;
    IF v_card.state = 'LOST' THEN RETURN refused('CARD_LOST'); END IF;
    IF v_card.state <> 'IN_USE' THEN RETURN refused('CARD_CANCELLED'); END IF;

    SELECT * INTO v_account FROM account WHERE person_id = v_card.person_id FOR UPDATE;
    SELECT * INTO v_person FROM person WHERE id = v_card.person_id;
    IF v_person.insured_from > p_day THEN RETURN refused('NOT_INSURED'); END IF;
    IF NOT v_place.networked THEN RETURN refused('INSTITUTION_NOT_NETWORKED'); END IF;

    FOR i IN 1 .. cardinality(p_items) LOOP
        SELECT * INTO v_item FROM item WHERE code = p_items[i];
        IF NOT FOUND THEN RETURN refused('ITEM_UNKNOWN'); END IF;
        v_line := round(p_quantities[i] * p_prices_yuan[i] * 100);
        v_total := v_total + v_line;
        IF v_item.class = 'C' THEN
            v_own_pay := v_own_pay + v_line;
        ELSE
            v_over := round(p_quantities[i] * greatest(p_prices_yuan[i] - v_item.ceiling_yuan, 0) * 100);
            v_over := coalesce(v_over, 0);
            v_first := CASE WHEN v_item.class = 'B' THEN round((v_line - v_over) * v_item.first_pay_bp / 10000.0) ELSE 0 END;
            v_over_ceiling := v_over_ceiling + v_over;
            v_first_pay := v_first_pay + v_first;
        END IF;
    END LOOP;
    v_in_scope := v_total - v_own_pay - v_over_ceiling - v_first_pay;
    IF p_total_fen <> v_total THEN RETURN refused('TOTAL_MISMATCH'); END IF;
    IF p_atc <= v_card.atc THEN RETURN refused('CRYPTOGRAM_REPLAYED'); END IF;

    SELECT * INTO v_policy FROM policy
        WHERE region = v_person.region AND insurance_type = v_person.insurance_type AND effective_from <= p_day
        ORDER BY effective_from DESC LIMIT 1;
    IF NOT FOUND THEN RETURN refused('POLICY_NOT_IN_FORCE'); END IF;
    SELECT * INTO v_used FROM accumulator
        WHERE person_id = v_card.person_id AND year = date_part('year', p_day)::integer;
    IF NOT FOUND THEN
        v_used := ROW(v_card.person_id, date_part('year', p_day)::integer, 0, 0, 0, 0)::accumulator;
    END IF;

    SELECT amount_fen INTO v_deductible FROM deductible
        WHERE policy_id = v_policy.id AND level = v_place.level AND category = v_person.category;
    v_deductible := least(coalesce(v_deductible, 0), v_in_scope,
        greatest(v_policy.deductible_year_cap_fen - v_used.deductible_fen, 0));
    v_begin := CASE WHEN v_policy.bands_begin_at_deductible THEN 0 ELSE v_deductible END;
    -- From here cost lies on the scale of the bands: from `v_begin` as long as what is left behind the deductible.
    SELECT round(coalesce(sum(
            (least(coalesce(to_fen, 9223372036854775807), v_begin + v_in_scope - v_deductible) - greatest(from_fen, v_begin)) * rate_bp
        ), 0) / 10000.0) INTO v_pool
        FROM band
        WHERE policy_id = v_policy.id AND from_fen < v_begin + v_in_scope - v_deductible
            AND (to_fen IS NULL OR to_fen > v_begin);
    v_pool := least(v_pool, greatest(v_policy.pool_year_cap_fen - v_used.pool_fen, 0));

    v_available := CASE WHEN v_policy.account_allowed THEN least(v_account.balance_fen, v_total - v_pool) ELSE 0 END;
    IF p_account_request_fen > 0 AND NOT v_policy.account_allowed THEN RETURN refused('ACCOUNT_USE_FORBIDDEN'); END IF;
    IF p_account_request_fen > v_available THEN RETURN refused('BALANCE_INSUFFICIENT'); END IF;
    v_cash := v_total - v_pool - p_account_request_fen;

    UPDATE card SET atc = p_atc WHERE pan = p_pan;
    IF p_account_request_fen > 0 THEN
        UPDATE account SET balance_fen = balance_fen - p_account_request_fen WHERE person_id = v_card.person_id;
    END IF;
    INSERT INTO accumulator AS used VALUES
            (v_used.person_id, v_used.year, v_in_scope, v_deductible, v_pool, p_account_request_fen)
        ON CONFLICT (person_id, year) DO UPDATE SET
            eligible_fen = used.eligible_fen + excluded.eligible_fen,
            deductible_fen = used.deductible_fen + excluded.deductible_fen,
            pool_fen = used.pool_fen + excluded.pool_fen,
            account_fen = used.account_fen + excluded.account_fen;
    INSERT INTO settlement (request_id, digest, institution, person_id, pan, atc, visit_day, policy_id, items, quantities, prices_yuan,
            total_fen, own_pay_fen, over_ceiling_fen, first_pay_fen, in_scope_fen, deductible_fen, pool_fen, account_fen, cash_fen,
            balance_after_fen)
        VALUES (p_request_id, v_digest, p_institution, v_card.person_id, p_pan, p_atc, p_day, v_policy.id, p_items, p_quantities,
            p_prices_yuan, v_total, v_own_pay, v_over_ceiling, v_first_pay, v_in_scope, v_deductible, v_pool, p_account_request_fen,
            v_cash, v_account.balance_fen - p_account_request_fen)
        RETURNING id INTO v_id;
    INSERT INTO leg SELECT v_id, account, amount FROM (VALUES
            ('INSTITUTION ' || p_institution, v_total),
            ('POOL ' || v_person.region || ' ' || v_person.insurance_type, -v_pool),
            ('PERSONAL ACCOUNTS ' || v_person.region, -p_account_request_fen),
            ('CASH ' || p_institution, -v_cash)
        ) AS legs (account, amount) WHERE amount <> 0;
    RETURN ROW('', false, v_id, v_total, v_own_pay, v_over_ceiling, v_first_pay, v_in_scope, v_deductible, v_pool,
        p_account_request_fen, v_cash, v_account.balance_fen - p_account_request_fen)::answer;
END
$$;
