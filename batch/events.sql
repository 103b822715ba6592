-- Raw rows below a cut to what each one counts for.
-- Comes in: `raw` (topic, partition, offset, append_ms, value), `cut` (topic, partition, next).
CREATE TEMP TABLE events AS
WITH texts AS (
    SELECT topic, partition, "offset", append_ms, try(decode(value)) AS text
    FROM raw JOIN cut USING (topic, partition) WHERE "offset" < next
),
-- A stage each: DuckDB works an alias out again wherever its own stage uses it.
documents AS (SELECT * EXCLUDE (text), CASE WHEN coalesce(strict_json(text), false) THEN text END AS document FROM texts),
named AS (SELECT *, CASE WHEN json_type(document) = 'OBJECT' THEN json_keys(document) END AS names FROM documents),
fields AS (
    SELECT * EXCLUDE (document),
        document IS NOT NULL AS is_json,
        kinds_of(document, names, field_paths()) AS kind,
        texts_of(document, names, field_paths()) AS field,
        CASE WHEN repeated(names) THEN last_of(document, names, 'data')
             ELSE json_extract(document, '$.data') END AS data
    FROM named
),
bodies AS (
    SELECT *, field[1] = 'fourfold.sale.v1' AS is_sale, kind_fault(json_type(data), 'OBJECT') AS data_fault FROM fields
),
named_bodies AS (
    SELECT *, CASE WHEN data_fault IS NULL THEN data END AS body, CASE WHEN data_fault IS NULL THEN json_keys(data) END AS body_names
    FROM bodies
),
parts AS (
    SELECT *, kinds_of(body, body_names, part_paths()) AS part_kind, texts_of(body, body_names, part_paths()) AS part
    FROM named_bodies
),
-- only of the fields of the own type
faults AS (
    SELECT *,
        [
            name_fault(part_kind[1], part[1]), name_fault(part_kind[2], part[2]),
            name_fault(part_kind[3], part[3]), name_fault(part_kind[4], part[4]),
            form_fault(part_kind[5], part[5], 2, 2),
            CASE WHEN NOT is_sale THEN path_fault(part_kind[6], part[6]) END,
            CASE WHEN is_sale THEN name_fault(part_kind[7], part[7]) END,
            CASE WHEN is_sale THEN int_fault(part_kind[8], part[8], 1, 10000) END,
            CASE WHEN is_sale THEN int_fault(part_kind[9], part[9], 0, 100000000) END,
            CASE WHEN is_sale THEN form_fault(part_kind[10], part[10], 3, 3) END
        ] AS part_faults,
        [
            version_fault(kind[2], field[2]), name_fault(kind[3], field[3]),
            path_fault(kind[4], field[4]), form_fault(kind[5], field[5], 20, 40), data_fault
        ] AS field_faults
    FROM parts
),
sound AS (
    SELECT *, type_fault(kind[1], field[1]) AS type_fault,
        list_count(field_faults) = 0 AND list_count(part_faults) = 0 AS is_sound
    FROM faults
),
outer_faults AS (
    SELECT *,
        CASE WHEN NOT is_json THEN 'not_json'
             WHEN names IS NULL THEN 'wrong_type'
             WHEN type_fault IS NOT NULL THEN type_fault
             WHEN is_sound THEN NULL
             ELSE first_fault(names, ['$.specversion', '$.id', '$.source', '$.time', '$.data'], [
                 field_faults[1], field_faults[2], field_faults[3], field_faults[4],
                 coalesce(field_faults[5], CASE WHEN body IS NOT NULL THEN 'in data' END)
             ]) END AS outer_fault
    FROM sound
),
part_faults AS (
    SELECT *,
        CASE WHEN outer_fault = 'in data' THEN first_fault(body_names, part_paths(), part_faults) END AS part_fault
    FROM outer_faults
),
decoded AS (
    SELECT topic, partition, "offset", append_ms, is_sale, field, part,
        -- sound data: what is wrong is met later
        CASE WHEN outer_fault <> 'in data' THEN outer_fault
             WHEN part_fault IS NOT NULL THEN part_fault
             WHEN outer_fault = 'in data' THEN first_fault(names, field_paths()[2:], field_faults[:4])
        END AS fault
    FROM part_faults
),
timed AS (SELECT *, field[3] AS id, CASE WHEN fault IS NULL THEN millis_of(field[5]) END AS time_ms FROM decoded),
examined AS (
    SELECT topic, partition, "offset", append_ms, is_sale, part, id, time_ms,
        CASE WHEN append_ms = 0 THEN 'not_stamped'
             WHEN fault IS NOT NULL THEN fault
             WHEN is_sale <> (topic = 'sales') THEN 'wrong_topic'
             WHEN time_ms IS NULL THEN 'bad_format'
             WHEN NOT regexp_full_match(part[5], '[A-Z]{2}') THEN 'bad_format'
             WHEN time_ms > append_ms + 300000 THEN 'from_future'
             WHEN time_ms < 946684800000 THEN 'out_of_range'
             WHEN is_sale AND NOT regexp_full_match(part[10], '[A-Z]{3}') THEN 'bad_format'
             WHEN is_sale AND part[10] <> 'EUR' THEN 'wrong_currency' END AS reason
    FROM timed
),
typed AS (
    SELECT topic, partition, "offset", append_ms, reason,
        CASE WHEN reason IS NULL THEN id END AS id,
        CASE WHEN reason IS NULL THEN time_ms END AS time_ms,
        -- an event from the future must not make all others late
        CASE WHEN reason IS NULL THEN least(time_ms, append_ms) END AS seen_ms,
        CASE WHEN reason IS NULL THEN part[1] END AS user,
        CASE WHEN reason IS NULL THEN part[4] END AS campaign,
        CASE WHEN reason IS NULL THEN part[3] END AS product,
        CASE WHEN reason IS NULL THEN part[5] END AS country,
        (NOT is_sale)::BIGINT AS clicks,
        is_sale::BIGINT AS sales,
        CASE WHEN reason IS NULL AND is_sale THEN part[8]::BIGINT ELSE 0 END AS units,
        CASE WHEN reason IS NULL AND is_sale THEN units * part[9]::BIGINT ELSE 0 END AS revenue_cents
    FROM examined
),
placed AS (
    SELECT * EXCLUDE (time_ms, seen_ms),
        (time_ms // 60000)::INTEGER AS minute,
        max(append_ms // $epoch_ms) OVER so_far AS epoch,
        greatest(0, max(seen_ms) OVER so_far) AS newest_ms,
        time_ms < greatest(0, max(seen_ms) OVER before) - $lateness_ms AS late
    FROM typed
    WINDOW so_far AS (PARTITION BY topic, partition ORDER BY "offset" ROWS UNBOUNDED PRECEDING),
        before AS (
            PARTITION BY topic, partition ORDER BY "offset" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
)
SELECT *,
    reason IS NULL
        AND row_number() OVER (PARTITION BY id ORDER BY epoch, append_ms, topic, partition, "offset") = 1 AS counted
FROM placed;
