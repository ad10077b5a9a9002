-- An envelope of some kilobytes stays in its row, as it is. By default a row of more than two of them is compressed first, which takes longer than
-- all else that its insert does, and is taken apart. Rows that are there stay as they are; nobody is held up.
ALTER TABLE artifact SET (toast_tuple_target = 8160);

-- Whoever writes several artifacts takes their numbers in one go, under the same lock as the trigger takes; it numbers what comes without a number, as
-- servers of the version before write.
CREATE FUNCTION artifact_numbers(wanted bigint) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
DECLARE
  floor bigint;
BEGIN
  SELECT last_value INTO floor FROM gantral.artifact_number;
  -- As in `number_artifact`.
  PERFORM pg_catalog.pg_advisory_xact_lock_shared((1196315724::bigint << 32) | (floor & 4294967295));
  RETURN QUERY SELECT pg_catalog.nextval('gantral.artifact_number') FROM pg_catalog.generate_series(1, wanted);
END $$;
DROP TRIGGER artifact_numbered ON artifact;
CREATE TRIGGER artifact_numbered BEFORE INSERT ON artifact FOR EACH ROW WHEN (NEW.number IS NULL)
  EXECUTE FUNCTION number_artifact();
