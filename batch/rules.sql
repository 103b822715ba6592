-- The contract (core/events.py, core/contract.py) in the words of DuckDB; shares nothing with them.
-- A fault is null, or one of the closed list of reasons.

-- JSON as msgspec takes it. DuckDB's own takes NaN, Infinity and a comma before a bracket, too.
CREATE TEMP MACRO odd_json(text) AS regexp_matches(text, '(?i)nan|inf|,\s*[\]}]');
-- CASE, since AND would blank the texts of all rows, which costs five times as much as the rest.
CREATE TEMP MACRO strict_json(text) AS
    CASE WHEN odd_json(text)
         THEN json_valid(text) AND NOT odd_json(regexp_replace(text, '"(?:[^"\\]|\\.)*"', '""', 'g'))
         ELSE json_valid(text) END;

-- Of a name given twice the last one counts; the fast way finds the first one.
CREATE TEMP MACRO repeated(names) AS len(names) > len(list_distinct(names));
CREATE TEMP MACRO last_of(document, names, name) AS
    json_extract(document, '$.*')[len(names) + 1 - list_position(list_reverse(names), name)];
-- The JSON types and the texts of the values at some paths; both null where there is none.
CREATE TEMP MACRO kinds_of(document, names, paths) AS
    CASE WHEN repeated(names) THEN list_transform(paths, lambda path: json_type(last_of(document, names, path[3:])))
         ELSE json_type(document, paths) END;
CREATE TEMP MACRO texts_of(document, names, paths) AS
    CASE WHEN repeated(names) THEN list_transform(paths, lambda path: last_of(document, names, path[3:]) ->> '$')
         ELSE json_extract_string(document, paths) END;
-- Paths must be constants.
CREATE TEMP MACRO field_paths() AS ['$.type', '$.specversion', '$.id', '$.source', '$.time'];
CREATE TEMP MACRO part_paths() AS [
    '$.user_id', '$.session_id', '$.product_id', '$.campaign_id', '$.country', '$.page',
    '$.order_id', '$.quantity', '$.unit_price_cents', '$.currency'
];

CREATE TEMP MACRO kind_fault(kind, wanted) AS
    CASE WHEN kind IS NULL THEN 'missing_field' WHEN kind <> wanted THEN 'wrong_type' END;
CREATE TEMP MACRO text_fault(kind, text, least, most, beyond) AS
    coalesce(kind_fault(kind, 'VARCHAR'), CASE WHEN length(text) NOT BETWEEN least AND most THEN beyond END);
CREATE TEMP MACRO name_fault(kind, text) AS text_fault(kind, text, 1, 64, 'out_of_range');
CREATE TEMP MACRO path_fault(kind, text) AS text_fault(kind, text, 1, 2048, 'out_of_range');
CREATE TEMP MACRO form_fault(kind, text, least, most) AS text_fault(kind, text, least, most, 'bad_format');
CREATE TEMP MACRO version_fault(kind, text) AS
    coalesce(kind_fault(kind, 'VARCHAR'), CASE WHEN text <> '1.0' THEN 'bad_format' END);
CREATE TEMP MACRO type_fault(kind, text) AS
    coalesce(
        kind_fault(kind, 'VARCHAR'),
        CASE WHEN text NOT IN ('fourfold.click.v1', 'fourfold.sale.v1') THEN 'unknown_type' END
    );
-- 1.0 and 1e2 are no integers; one too large for 64 bits is DOUBLE to DuckDB, so is 1e400.
CREATE TEMP MACRO int_fault(kind, text, least, most) AS
    CASE WHEN kind IS NULL THEN 'missing_field'
         WHEN kind IN ('UBIGINT', 'BIGINT')
             THEN CASE WHEN try_cast(text AS HUGEINT) NOT BETWEEN least AND most THEN 'out_of_range' END
         WHEN kind = 'DOUBLE' AND (regexp_full_match(text, '-?[0-9]+') OR isinf(try_cast(text AS DOUBLE)))
             THEN 'out_of_range'
         ELSE 'wrong_type' END;

-- RFC 3339 to milliseconds since 1970, digits below cut off; null where it is none.
CREATE TEMP MACRO millis_of(time) AS
    CASE WHEN regexp_full_match(
             time,
             '[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?'
             || '([Zz]|[+-]([01][0-9]|2[0-3]):?[0-5][0-9])'
         ) AND left(time, 4) <> '0000'
         THEN epoch_ms(try_strptime(left(time, 10), '%Y-%m-%d'))
             + 3600000 * time[12:13]::BIGINT + 60000 * time[15:16]::BIGINT + 1000 * time[18:19]::BIGINT
             + rpad(left(regexp_extract(time, '\.([0-9]+)', 1), 3), 3, '0')::BIGINT
             - CASE WHEN time[-1:] IN ('Z', 'z') THEN 0
                    ELSE (CASE WHEN regexp_matches(time, '-[0-9]{2}:?[0-9]{2}$') THEN -60000 ELSE 60000 END)
                        * (60 * regexp_extract(time, '([0-9]{2}):?[0-9]{2}$', 1)::BIGINT + time[-2:]::BIGINT) END
         END;

-- The fault that reading the document from the front meets first. Missing names are known at its end.
CREATE TEMP MACRO place_of(names, name, fault) AS
    CASE WHEN fault = 'missing_field' THEN 1000000 ELSE list_position(names, name) END;
CREATE TEMP MACRO first_fault(names, paths, faults) AS
    list_sort(list_filter(list_transform(paths, lambda path, i:
        {'place': place_of(names, path[3:], faults[i]), 'fault': faults[i]}), lambda found: found.fault IS NOT NULL)
    )[1].fault;
