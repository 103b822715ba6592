-- What SQL made of a declaration uses (batch/events_sql.py); shares nothing with core/kernel.
-- A fault is null, or a reason.

-- Without what strings say: the brackets that are left are JSON's own.
CREATE TEMP MACRO stripped(text) AS regexp_replace(text, '"(?:[^"\\]|\\.)*"', '""', 'gs');

-- JSON as msgspec takes it. DuckDB's own takes NaN, Infinity and a comma before a bracket, too.
CREATE TEMP MACRO odd_json(text) AS regexp_matches(text, '(?i)nan|inf|,\s*[\]}]');
-- CASE, since AND would blank the texts of all rows, which costs five times as much as the rest.
CREATE TEMP MACRO strict_json(text) AS
    CASE WHEN odd_json(text)
         THEN json_valid(text) AND NOT odd_json(stripped(text))
         ELSE json_valid(text) END;

-- (sum, deepest) of a stretch of brackets is a monoid.
CREATE TEMP MACRO depth_of(text) AS
    list_reduce(
        list_transform(string_split(regexp_replace(stripped(text), '[^\[\]{}]', '', 'g'), ''), lambda c: {
            'sum': CASE WHEN c IN ('[', '{') THEN 1 WHEN c = '' THEN 0 ELSE -1 END,
            'deepest': CASE WHEN c IN ('[', '{') THEN 1 ELSE 0 END
        }),
        lambda one, next: {'sum': one.sum + next.sum, 'deepest': greatest(one.deepest, one.sum + next.deepest)}
    ).deepest;
CREATE TEMP MACRO too_deep(text, deepest) AS
    CASE WHEN length(text) < 2 * deepest THEN false
         WHEN length(text) - length(replace(replace(text, '[', ''), '{', '')) <= deepest THEN false
         ELSE depth_of(text) > deepest END;

-- Of a name given twice the last one counts; the fast way finds the first one.
CREATE TEMP MACRO repeated(names) AS len(names) > len(list_distinct(names));
CREATE TEMP MACRO last_of(document, names, name) AS
    json_extract(document, '$.*')[len(names) + 1 - list_position(list_reverse(names), name)];
-- The texts of the values at some paths, which must be constants; null where a value is missing.
CREATE TEMP MACRO texts_of(document, names, paths) AS
    CASE WHEN repeated(names) THEN list_transform(paths, lambda path: last_of(document, names, path[3:]) ->> '$')
         ELSE json_extract_string(document, paths) END;
-- 1.0 and 1e2 are no integers; one too large for 64 bits is DOUBLE to DuckDB, so is 1e400.
CREATE TEMP MACRO integer_fault(kind, text, least, most) AS
    CASE WHEN kind IN ('UBIGINT', 'BIGINT')
             THEN CASE WHEN try_cast(text AS HUGEINT) NOT BETWEEN least AND most THEN 'out_of_range' END
         WHEN kind = 'DOUBLE' AND regexp_full_match(text, '-?[0-9]+') THEN 'out_of_range'
         ELSE 'wrong_type' END;
CREATE TEMP MACRO floor_divided(number, divisor) AS
    CASE WHEN number < 0 THEN -((-number + divisor - 1) // divisor) ELSE number // divisor END;
-- What a number of milliseconds, or of other units of time, says; null where 64 bits do not hold it.
CREATE TEMP MACRO integer_millis(kind, text, multiplier, divisor) AS
    CASE WHEN kind IN ('UBIGINT', 'BIGINT')
         THEN floor_divided(try_cast(text AS HUGEINT) * multiplier, divisor) END;
-- Exact where a double is the nearest one of its decimal: scaled, at most 2^53.
CREATE TEMP MACRO scaled_fault(number, least, most, unit) AS
    CASE WHEN round(number * unit) / unit <> number THEN 'bad_format'
         WHEN round(number * unit) NOT BETWEEN least AND most THEN 'out_of_range' END;
CREATE TEMP MACRO decimal_fault(kind, text, least, most, unit, exact) AS
    CASE WHEN kind NOT IN ('UBIGINT', 'BIGINT', 'DOUBLE') THEN 'wrong_type'
         WHEN abs(try_cast(text AS DOUBLE)) * unit > exact THEN 'out_of_range'
         WHEN kind <> 'DOUBLE' AND abs(try_cast(text AS HUGEINT)) > exact // unit THEN 'out_of_range'
         ELSE scaled_fault(try_cast(text AS DOUBLE), least, most, unit) END;
CREATE TEMP MACRO decimal_text_fault(kind, text, least, most, unit, exact) AS
    CASE WHEN kind <> 'VARCHAR' THEN 'wrong_type'
         WHEN NOT regexp_full_match(text, '-?[0-9]{1,17}(\.[0-9]{1,17})?') THEN 'bad_format'
         WHEN abs(try_cast(text AS DOUBLE)) * unit > exact THEN 'out_of_range'
         ELSE scaled_fault(try_cast(text AS DOUBLE), least, most, unit) END;

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
