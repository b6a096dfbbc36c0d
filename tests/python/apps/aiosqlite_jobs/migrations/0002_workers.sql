ALTER TABLE job ADD COLUMN worker TEXT;
CREATE INDEX job_worker ON job (worker);
