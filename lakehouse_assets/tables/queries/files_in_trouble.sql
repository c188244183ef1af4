-- Files that are held, or that could not be read in full, and why.
WITH numbered AS (
    SELECT
        dataset,
        batch_date,
        file,
        digest,
        state,
        read,
        held,
        error,
        row_number() OVER (
            PARTITION BY dataset, batch_date, file, digest ORDER BY seq DESC
        ) AS place
    FROM ledger.receipts
)
SELECT dataset, batch_date, file, digest, state, read, held, error
FROM numbered
WHERE place = 1 AND error IS NOT NULL
ORDER BY dataset, batch_date, file, digest
