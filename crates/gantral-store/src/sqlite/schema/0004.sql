-- What is in force is what the governance chain says: the tables that repeated it are gone.

DROP TABLE activation;
DROP TABLE freeze;
