SELECT usr, visits, seconds FROM visits_in_range ORDER BY visits DESC, usr;
