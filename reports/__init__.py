"""Result records to the tables and figures of the paper."""
