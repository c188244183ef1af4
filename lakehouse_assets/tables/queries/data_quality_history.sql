-- What became of the rows that landed, by dataset and batch date, with the share that is usable.
-- A content counts as its newest receipt says; those replaced or withdrawn count for nothing.
WITH numbered AS (
    SELECT
        dataset,
        batch_date,
        state,
        read,
        published,
        superseded,
        duplicates,
        rejected,
        held,
        row_number() OVER (
            PARTITION BY dataset, batch_date, file, digest ORDER BY seq DESC
        ) AS place
    FROM ledger.receipts
)
SELECT
    dataset,
    batch_date,
    sum(CASE WHEN state = 'in_force' THEN 1 ELSE 0 END) AS files_in_force,
    sum(CASE WHEN state IN ('held', 'unreadable') THEN 1 ELSE 0 END) AS files_in_trouble,
    sum(read) AS read,
    sum(published) AS published,
    sum(superseded) AS superseded,
    sum(duplicates) AS duplicates,
    sum(rejected) AS rejected,
    sum(held) AS held,
    CAST(
        CAST(
            CAST(sum(published + superseded + duplicates) AS DOUBLE)
            / NULLIF(CAST(sum(read) AS DOUBLE), 0)
            AS DECIMAL(38, 8)
        ) AS DECIMAL(18, 4)
    ) AS usable_share
FROM numbered
WHERE place = 1
GROUP BY dataset, batch_date
ORDER BY dataset, batch_date
