-- E-mail streams: an address that is no member's own gets nothing until its owner agreed, by a link that was mailed there.

ALTER TABLE notification_streams
    ADD COLUMN confirmed_at timestamptz,
    -- SHA-256 of seal_id and the address, so that the same address entered again keeps its confirmation.
    ADD COLUMN address_hash bytea;

ALTER TABLE account_links
    -- 'stream': the stream that is to send there.
    ADD COLUMN stream_id bigint REFERENCES notification_streams (id) ON DELETE CASCADE,
    DROP CONSTRAINT account_links_kind_check,
    ADD CONSTRAINT account_links_kind_check CHECK (kind IN ('register', 'reset', 'email', 'stream')),
    ADD CHECK ((kind = 'stream') = (stream_id IS NOT NULL));
CREATE UNIQUE INDEX account_links_stream ON account_links (stream_id) WHERE stream_id IS NOT NULL;

-- 'stream': who is counted for it. Not `team_id`: the mail is nobody's row.
ALTER TABLE account_mails ADD COLUMN asking_team_id bigint REFERENCES teams (id) ON DELETE CASCADE;
CREATE INDEX account_mails_asking ON account_mails (asking_team_id, created_at) WHERE asking_team_id IS NOT NULL;

-- Asks an address whether a stream of the transaction's team may send there; without an address the one that was asked
-- before. `outcome`: 'asked'; 'limited', the address or the team got enough such mails within the hour; 'unknown', there
-- is no such stream, or no address was asked. The stream's earlier link is dead once another one is on its way.
CREATE FUNCTION ask_stream_address(of_stream bigint, new_email text, new_secret_hash bytea, at timestamptz,
                                   ends timestamptz, new_seal_id uuid, new_payload bytea)
    RETURNS TABLE (mail_id bigint, outcome text)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    wanted text := new_email;
    mail bigint;
BEGIN
    -- One at a time of a team, so that the count holds.
    PERFORM 1 FROM teams t WHERE t.id = current_team() FOR NO KEY UPDATE;
    PERFORM 1 FROM notification_streams s WHERE s.id = of_stream AND s.team_id = current_team();
    IF NOT FOUND THEN
        RETURN QUERY SELECT NULL::bigint, 'unknown';
        RETURN;
    END IF;
    IF wanted IS NULL THEN
        SELECT l.email INTO wanted FROM account_links l WHERE l.stream_id = of_stream;
    END IF;
    IF wanted IS NULL THEN
        RETURN QUERY SELECT NULL::bigint, 'unknown';
        RETURN;
    END IF;
    IF (SELECT count(*) FROM account_mails m
        WHERE m.asking_team_id = current_team() AND m.created_at > now() - interval '1 hour') < 20 THEN
        mail := add_account_mail('stream', wanted, new_secret_hash, new_seal_id, new_payload);
    END IF;
    IF mail IS NULL THEN
        -- Remembered, for another try later; a link that was mailed to this address stays good.
        DELETE FROM account_links l WHERE l.stream_id = of_stream AND lower(l.email) <> lower(wanted);
        INSERT INTO account_links (kind, secret_hash, email, stream_id, expires_at, created_at)
        VALUES ('stream', new_secret_hash, wanted, of_stream, ends, at)
        ON CONFLICT (stream_id) WHERE stream_id IS NOT NULL DO NOTHING;
        RETURN QUERY SELECT NULL::bigint, 'limited';
        RETURN;
    END IF;
    UPDATE account_mails m SET asking_team_id = current_team() WHERE m.id = mail;
    DELETE FROM account_links l WHERE l.stream_id = of_stream;
    INSERT INTO account_links (kind, secret_hash, email, stream_id, expires_at, created_at)
    VALUES ('stream', new_secret_hash, wanted, of_stream, ends, at);
    RETURN QUERY SELECT mail, 'asked';
END $$;

-- Which stream a link would confirm, while it holds.
CREATE FUNCTION find_stream_link(wanted_hash bytea, at timestamptz)
    RETURNS TABLE (team_id bigint, stream_id bigint, email text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT s.team_id, s.id, l.email FROM account_links l
    JOIN notification_streams s ON s.id = l.stream_id
    JOIN teams g ON g.id = s.team_id
    WHERE l.kind = 'stream' AND l.secret_hash = wanted_hash AND l.expires_at > at AND g.suspended_at IS NULL
$$;

DO $$
DECLARE
    f text;
BEGIN
    FOREACH f IN ARRAY ARRAY[
        'ask_stream_address(bigint, text, bytea, timestamptz, timestamptz, uuid, bytea)',
        'find_stream_link(bytea, timestamptz)'] LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO holdfast_app', f);
    END LOOP;
END $$;
