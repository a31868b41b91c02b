module railwright/parts/telegraf

go 1.26
