SELECT usr, visits, stay FROM visits_in_range ORDER BY visits DESC, usr;
