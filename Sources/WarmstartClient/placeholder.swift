// WarmstartClient
