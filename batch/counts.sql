-- What the batch view says of `events` (minute, user, campaign, product, country, measures, counted).
CREATE TEMP TABLE cells AS
-- null where 64 bits do not hold a sum
SELECT minute, dimension, value, try_cast(sum(clicks) AS BIGINT) AS clicks, try_cast(sum(sales) AS BIGINT) AS sales,
    try_cast(sum(units) AS BIGINT) AS units, try_cast(sum(revenue_cents) AS BIGINT) AS revenue_cents
FROM (
    SELECT minute, clicks, sales, units, revenue_cents,
        unnest(['all', 'campaign', 'product', 'country']) AS dimension,
        unnest(['', campaign, product, country]) AS value
    FROM events WHERE counted
)
GROUP BY ALL ORDER BY ALL;

CREATE TEMP TABLE users AS
SELECT DISTINCT minute, user FROM events WHERE counted ORDER BY ALL;
