-- a fact table
CREATE TABLE "ana""lytics"."trips" (
  "ts" bigint NOT NULL,
  "id" bigint NOT NULL,
  "city" integer,
  "status" text DEFAULT 'it''s'::text CONSTRAINT "trips_status_cases" CHECK ("status" IN ('new', 'it''s',  E'a\\b')),
  "odd ""name" real,
  _arus_run_id uuid,
  _arus_synced_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  CONSTRAINT "trips_pkey" PRIMARY KEY ("id", "ts")
) PARTITION BY RANGE ("ts");
COMMENT ON COLUMN "ana""lytics"."trips"._arus_run_id IS 'arus:declared {"key":["id"],"time":"ts","sort":["city","status"]}';
CREATE TABLE "ana""lytics"."trips_default" PARTITION OF "ana""lytics"."trips" DEFAULT;
CREATE TABLE "ana""lytics"."trips_p20260303" PARTITION OF "ana""lytics"."trips" FOR VALUES FROM (1772496000) TO (1772582400);
CREATE TABLE "ana""lytics"."trips_p20260304" PARTITION OF "ana""lytics"."trips" FOR VALUES FROM (1772582400) TO (1772668800);
CREATE TABLE "ana""lytics"."trips_p20260305" PARTITION OF "ana""lytics"."trips" FOR VALUES FROM (1772668800) TO (1772755200);
CREATE TABLE "ana""lytics"."trips_p20260306" PARTITION OF "ana""lytics"."trips" FOR VALUES FROM (1772755200) TO (1772841600);
CREATE TABLE "ana""lytics"."trips_p20260307" PARTITION OF "ana""lytics"."trips" FOR VALUES FROM (1772841600) TO (1772928000);
CREATE TABLE "ana""lytics"."trips_p20260308" PARTITION OF "ana""lytics"."trips" FOR VALUES FROM (1772928000) TO (1773014400);
CREATE TABLE "ana""lytics"."trips_p20260309" PARTITION OF "ana""lytics"."trips" FOR VALUES FROM (1773014400) TO (1773100800);
CREATE TABLE "ana""lytics"."trips_p20260310" PARTITION OF "ana""lytics"."trips" FOR VALUES FROM (1773100800) TO (1773187200);
CREATE TABLE "ana""lytics"."trips_p20260311" PARTITION OF "ana""lytics"."trips" FOR VALUES FROM (1773187200) TO (1773273600);

-- a dimension table
CREATE TABLE "ana""lytics"."trips" (
  "ts" bigint NOT NULL,
  "id" bigint NOT NULL,
  "city" integer,
  "status" text DEFAULT 'it''s'::text CONSTRAINT "trips_status_cases" CHECK ("status" IN ('new', 'it''s',  E'a\\b')),
  "odd ""name" real,
  _arus_run_id uuid,
  _arus_synced_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  CONSTRAINT "trips_pkey" PRIMARY KEY ("id", "city")
);
COMMENT ON COLUMN "ana""lytics"."trips"._arus_run_id IS 'arus:declared {"key":["id","city"]}';

-- a column and cases more, one less, and the mark
ALTER TABLE "ana""lytics"."trips" DROP COLUMN "city", ADD COLUMN "tip" numeric(10,2) DEFAULT '1.50'::numeric(10,2), DROP CONSTRAINT "trips_status_cases", ADD CONSTRAINT "trips_status_cases" CHECK ("status" IN ('new', 'it''s',  E'a\\b'));
COMMENT ON COLUMN "ana""lytics"."trips"._arus_run_id IS 'arus:declared {"key":["id"],"time":"ts","sort":["city","status"]}';

