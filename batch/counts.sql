-- What the batch view says of `events` (minute, user, campaign, product, country, measures, counted).
CREATE TEMP TABLE cells AS
SELECT minute, dimension, value, sum(clicks)::BIGINT AS clicks, sum(sales)::BIGINT AS sales,
    sum(units)::BIGINT AS units, sum(revenue_cents)::BIGINT AS revenue_cents
FROM (
    SELECT minute, clicks, sales, units, revenue_cents,
        unnest(['all', 'campaign', 'product', 'country']) AS dimension,
        unnest(['', campaign, product, country]) AS value
    FROM events WHERE counted
)
GROUP BY ALL ORDER BY ALL;

CREATE TEMP TABLE users AS
SELECT DISTINCT minute, user FROM events WHERE counted ORDER BY ALL;
