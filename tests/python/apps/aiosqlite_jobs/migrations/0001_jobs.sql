CREATE TABLE job (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL);
INSERT INTO job (name) VALUES ('send mail'), ('make thumbnails'), ('send invoice');
