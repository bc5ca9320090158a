"""Documents that make_corpus.py generates: each function draws the facts of a small world and writes a text about them."""


class Draw:
    """SplitMix64, with the few kinds of draw that texts need."""

    def __init__(self, seed):
        self.state = seed

    def bits(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & (2**64 - 1)
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        return z ^ (z >> 31)

    def below(self, bound):
        return self.bits() % bound

    def number(self, low, high):
        return low + self.below(high - low + 1)

    def pick(self, items):
        return items[self.below(len(items))]

    def some(self, items, count):
        rest = list(items)
        return [rest.pop(self.below(len(rest))) for _ in range(count)]

    def chance(self, percent):
        return self.below(100) < percent

    def shuffle(self, items):
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]


FIRST = ("Amara Björn Carmen Dmitri Esther Farid Greta Hiroshi Imani Jakub Keiko Lorenzo Miriam Nadia Oscar Priya Quentin Rosa "
         "Stefan Tamsin Ulrike Viktor Wanjiru Ximena Yusuf Zofia Alistair Beatriz Chidi Deirdre").split()
LAST = ("Abernathy Bergström Castellanos Drummond Eriksen Fontaine Guerrero Halloran Ivanova Jankowski Kowalczyk Laurent Mbeki "
        "Nakamura Okafor Pettersson Quiroga Rasmussen Sandoval Takahashi Underwood Vasquez Whitlock Yilmaz Zimmermann").split()
TOWNS = ("Aldermoor Brackwater Castelmonte Dunhaven Eskdale Fairholt Grenzbach Hollowford Isola Kestrel-on-Sea Lindow Marrowby "
         "Nordhavn Oakhurst Pinewick Quarrington Ravensbourne Saltmarsh Tarnside Umberleigh Valdoro Westerby").split()
SUBJECTS = [
    ("marine biology", "how kelp forests recover after storms", "a field station on the coast"),
    ("structural engineering", "why old iron bridges fail in cold weather", "the national testing laboratory"),
    ("medieval history", "the account books of a monastery that brewed beer", "the university library"),
    ("linguistics", "the way children learn which words may follow each other", "a nursery school in the suburbs"),
    ("economics", "how small shops set their prices", "a market of three hundred stalls"),
    ("astronomy", "stars whose brightness rises and falls in a matter of hours", "an observatory above the clouds"),
    ("botany", "mosses that survive for years without water", "a greenhouse built in 1896"),
    ("computer science", "programs that prove other programs correct", "a room without windows in the basement"),
    ("medicine", "why some wounds heal in a week and others in a year", "the teaching hospital"),
    ("music", "songs that were sung at work and never written down", "the sound archive"),
    ("geology", "the slow movement of a fault beneath the valley", "a network of forty instruments"),
    ("law", "contracts that nobody reads", "the court of appeal"),
]


def name(d):
    return f"{d.pick(FIRST)} {d.pick(LAST)}"


def biography(d):
    first, last, born = d.pick(FIRST), d.pick(LAST), d.number(1871, 1968)
    town, other = d.some(TOWNS, 2)
    subject, question, place = d.pick(SUBJECTS)
    parent = d.pick(["a carpenter", "two teachers", "a ship's cook", "a widowed seamstress", "the village pharmacist"])
    opening = d.pick([
        f"{first} {last} (born {born} in {town}) is known for work in {subject}.",
        f"Born in {town} in {born}, {first} {last} came to {subject} by a detour.",
        f"Few people outside {subject} have heard of {first} {last}, who was born in {town} in {born}.",
    ])
    youth = d.pick([
        f"The child of {parent}, {last} left school at fifteen and read by the light of a shop window.",
        f"{last} was raised by {parent} in a house with more visitors than chairs.",
        f"As the child of {parent}, {last} was expected to stay, and did stay, until the age of {d.number(17, 24)}.",
    ])
    work = d.pick([
        f"In {born + d.number(26, 33)} a post at {place} opened by chance; the question that would occupy the next "
        f"{d.number(11, 30)} years was {question}.",
        f"A first paper, on {question}, appeared in {born + d.number(25, 31)} and was ignored for {d.number(4, 14)} years.",
        f"Most of what is remembered today was done at {place}, where {last} studied {question}.",
    ])
    end = d.pick([
        f"Colleagues describe a person who answered every letter and finished no argument. A street in {other} bears the name.",
        f"Later years were spent in {other}, with a garden, a dog named Euclid and an unfinished second edition.",
        f"The papers, {d.number(14, 96)} boxes of them, are kept in {other} and have been open to readers since "
        f"{born + d.number(78, 90)}.",
        f"Asked late in life what had mattered most, {last} said: \"That I was wrong early enough to start again.\"",
    ])
    return " ".join([opening, youth, work, end])


def town(d):
    place, near = d.some(TOWNS, 2)
    people = d.number(3, 180) * 1000 + d.number(0, 999)
    trade = d.pick(["wool", "salt", "slate", "glass", "herring", "paper", "clocks", "tin"])
    year = d.number(1780, 1930)
    water = d.pick(["on both banks of a tidal river", "at the foot of a limestone ridge", "where two valleys meet",
                    "on a bay that freezes in hard winters", "along a canal that no longer carries ships"])
    sight = d.pick([
        f"The covered market of {year} has been restored and houses {d.number(12, 60)} traders on Saturdays",
        f"Visitors come for the lighthouse, which can be climbed by {d.number(96, 240)} steps",
        f"The museum of {trade} shows machines that still run on the first Sunday of the month",
        "The old station, built for a railway that was never finished, is now a concert hall",
    ])
    return (f"{place} is a town of {people:,} inhabitants {water}, {d.number(6, 48)} kilometres "
            f"{d.pick(['north', 'south', 'east', 'west'])} of {near}. It grew rich on {trade} in the "
            f"{d.pick(['seventeenth', 'eighteenth', 'nineteenth'])} century, and {d.pick(['poor again', 'quiet', 'famous'])} "
            f"when {d.pick(['the railway passed it by', 'cheaper goods arrived by sea', 'the last mill closed', 'fashion changed'])}. "
            f"{sight}. {d.pick(['Buses run every twenty minutes', 'There is no hotel, but many rooms', 'Parking is free after six'])}; "
            f"{d.pick(['bring a coat even in July', 'the best time to come is early autumn', 'on Mondays nearly everything is shut'])}.")


INGREDIENTS = [("lentils", "250 g"), ("chickpeas", "1 tin"), ("potatoes", "600 g"), ("leeks", "2"), ("carrots", "3"), ("rice", "200 g"),
               ("spinach", "a large bunch"), ("mushrooms", "300 g"), ("tomatoes", "5 ripe"), ("barley", "150 g"), ("squash", "half a")]
FLAVOURS = ["cumin and a little chilli", "lemon and parsley", "garlic and thyme", "ginger and soy sauce", "mustard and dill", "smoked paprika"]


def recipe(d):
    (main, amount), (second, amount2) = d.some(INGREDIENTS, 2)
    flavour, minutes, serves = d.pick(FLAVOURS), d.number(18, 55), d.number(2, 6)
    dish = d.pick(["soup", "stew", "salad", "bake", "curry", "pie"])
    step = d.pick([
        f"Soften an onion in two spoons of oil, add the {second} and stir until everything shines.",
        f"Put the {second} into a cold pan with a chopped onion and oil, and let it warm slowly.",
        f"Roast the {second} for twenty minutes at {d.number(18, 22)}0 degrees while you chop an onion.",
    ])
    finish = d.pick(["It is even better on the second day.", "Serve with bread and nothing else.", "Do not be shy with the salt.",
                     "If it looks too thick, add water; if it looks too thin, wait."])
    return (f"{main.capitalize()} and {second} {dish} (serves {serves}, {minutes} minutes)\n\n"
            f"- {amount} {main}\n- {amount2} {second}\n- 1 onion\n- {flavour}\n- {d.number(3, 9)} dl stock\n- oil, salt, pepper\n\n"
            f"{step} Add the {main}, pour in the stock and season with {flavour}. Simmer for {minutes - 12} minutes without a lid. {finish}")


def word_problem(d):
    who, item = d.pick(FIRST), d.pick(["notebooks", "bulbs", "tickets", "tiles", "jars of honey", "chairs"])
    boxes, each, lost = d.number(3, 19), d.number(4, 36), d.number(2, 11)
    price, total = d.number(2, 9), boxes * each
    kind = d.below(3)
    if kind == 0:
        return (f"Problem: {who} receives {boxes} boxes with {each} {item} each. {lost} arrive broken. The rest are sold at {price} euros "
                f"apiece. How much money comes in?\nSolution: There are {boxes} x {each} = {total} {item}. Without the broken ones "
                f"{total} - {lost} = {total - lost} remain. At {price} euros each that makes {total - lost} x {price} = "
                f"{(total - lost) * price} euros.\nAnswer: {(total - lost) * price} euros.")
    if kind == 1:
        speed, hours = d.number(4, 24) * 5, d.number(2, 7)
        rest = d.number(10, 90)
        return (f"Problem: A {d.pick(['train', 'van', 'coach'])} travels for {hours} hours at {speed} km/h and then has {rest} km left. How "
                f"long is the whole way?\nSolution: In {hours} hours it covers {hours} x {speed} = {hours * speed} km. Together with the "
                f"{rest} km that remain, the way is {hours * speed} + {rest} = {hours * speed + rest} km.\nAnswer: "
                f"{hours * speed + rest} km.")
    percent, base = d.number(1, 9) * 5, d.number(2, 40) * 20
    return (f"Problem: A coat costs {base} euros. In the sale {who} gets {percent} % off. What is the new price?\nSolution: {percent} % of "
            f"{base} is {base} x {percent} / 100 = {base * percent // 100}. The new price is {base} - {base * percent // 100} = "
            f"{base - base * percent // 100} euros.\nAnswer: {base - base * percent // 100} euros.")


def match_report(d):
    home, away = d.some(TOWNS, 2)
    goals, against = d.number(0, 4), d.number(0, 4)
    scorer, keeper, minute = d.pick(LAST), d.pick(LAST), d.number(3, 44)
    verdict = ("shared the points" if goals == against else "won" if goals > against else "lost at home")
    return (f"{home} {goals}, {away} {against}. {home} {verdict} on {d.pick(['Saturday', 'Sunday', 'Wednesday evening'])} in front of "
            f"{d.number(9, 412) * 100:,} spectators and {d.pick(['a steady drizzle', 'a low sun', 'a wind that stopped every high ball'])}. "
            f"{scorer} had the first chance after {minute} minutes, {d.pick(['a header from six yards', 'a free kick', 'a volley'])} that "
            f"{keeper} {d.pick(['tipped over', 'held at the second attempt', 'watched go wide'])}. "
            f"{d.pick(['After the break the pace dropped.', 'The second half belonged to the visitors.', 'Both coaches changed three players at half-time.'])} "
            f"{d.pick(['The referee, who had a difficult afternoon, showed', 'There were'])} {d.number(1, 7)} yellow cards. "
            f"{home} {d.pick(['climb to', 'stay in', 'slip to'])} {d.pick(['third', 'seventh', 'eleventh', 'fourteenth'])} place.")


def weather(d):
    region = d.pick(TOWNS)
    low, high = d.number(-6, 11), d.number(12, 31)
    return (f"Forecast for {region} and surroundings. {d.pick(['Tonight', 'Tomorrow', 'Over the weekend'])}: "
            f"{d.pick(['patchy cloud, clearing from the west', 'rain at first, heavy at times, then showers', 'fog in the valleys, lifting by ten', 'dry with long sunny spells'])}. "
            f"Lows of {low}, highs of {high} degrees. Wind {d.pick(['light and variable', 'south-westerly, fresh', 'northerly, strong on the coast'])}, "
            f"gusts up to {d.number(25, 95)} km/h. {d.pick(['Outlook', 'The days after'])}: {d.pick(['little change', 'turning colder', 'warmer, with thunder late on Thursday'])}. "
            f"Sunrise {d.number(5, 7)}:{d.number(0, 59):02d}, sunset {d.number(17, 21)}:{d.number(0, 59):02d}.")


def qa(d):
    facts = d.some([
        ("What is the capital of Norway?", "Oslo."),
        ("How many sides does a dodecagon have?", "Twelve."),
        ("Which gas makes up most of the air?", "Nitrogen, with about 78 per cent."),
        ("Who wrote \"Crime and Punishment\"?", "Fyodor Dostoevsky; it appeared in 1866."),
        ("What does a barometer measure?", "The pressure of the air."),
        ("Is zero an even number?", "Yes: it is two times zero."),
        ("Why do leaves change colour in autumn?", "Trees break down their chlorophyll before winter, and the yellow pigments below it show."),
        ("At what temperature does water boil on a high mountain?", "Lower than at sea level, because the air pressure is lower; at 3,000 metres it is about 90 degrees Celsius."),
        ("What is the difference between a virus and a bacterium?", "A bacterium is a living cell that can multiply on its own; a virus needs the cells of others to do so."),
        ("Which river flows through Vienna?", "The Danube."),
        ("What is a palindrome?", "A word or sentence that reads the same in both directions, such as \"level\"."),
        ("How long is a marathon?", "42.195 kilometres."),
        ("What are the primary colours of light?", "Red, green and blue."),
        ("Why is the sea salty?", "Rivers carry dissolved minerals into it, and water leaves only by evaporation, which keeps the salt behind."),
        ("What is the square root of 144?", "12."),
        ("Who painted the ceiling of the Sistine Chapel?", "Michelangelo, between 1508 and 1512."),
        ("Which planet is closest to the Sun?", "Mercury."),
        ("What is the chemical symbol of iron?", "Fe, from the Latin ferrum."),
        ("How many bones does an adult human have?", "About 206."),
        ("What does DNA stand for?", "Deoxyribonucleic acid."),
        ("Which language is spoken in Brazil?", "Portuguese."),
        ("What is the opposite of \"transparent\"?", "\"Opaque\"."),
    ], 5)
    form = d.pick([("Question: ", "Answer: "), ("Q: ", "A: "), ("User: ", "Assistant: ")])
    return "\n".join(f"{form[0]}{q}\n{form[1]}{a}" for q, a in facts)


def log_lines(d):
    day = f"2024-{d.number(1, 12):02d}-{d.number(1, 28):02d}"
    second = d.number(0, 80000)
    host, lines = d.pick(["web-1", "db-2", "edge-07", "worker-c"]), []
    for _ in range(d.number(7, 12)):
        second += d.number(0, 40)
        clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.{d.number(0, 999):03d}"
        lines.append(f"{day}T{clock}Z {host} " + d.pick([
            f"INFO  http: GET /items/{d.number(1, 9999)} 200 {d.number(1, 90)}ms",
            f"INFO  http: POST /login 302 {d.number(20, 200)}ms user={d.pick(FIRST).lower()}",
            f"WARN  pool: {d.number(20, 64)} of 64 connections in use",
            f"ERROR db: statement timeout after {d.number(5, 60)}000 ms (query 0x{d.bits() & 0xFFFFFFFF:08x})",
            f"DEBUG cache: evicted {d.number(1, 900)} entries, {d.number(1, 99)} % hit rate",
            f"INFO  job: {d.pick(['reindex', 'thumbnails', 'mail', 'cleanup'])} finished in {d.number(1, 300)}.{d.number(0, 9)} s",
        ]))
    return "\n".join(lines)


def json_records(d):
    rows = []
    for _ in range(d.number(3, 6)):
        first, last = d.pick(FIRST), d.pick(LAST)
        rows.append(f'{{"id": {d.number(1000, 99999)}, "name": "{first} {last}", "city": "{d.pick(TOWNS)}", "active": '
                    f'{d.pick(["true", "false"])}, "score": {d.number(0, 99)}.{d.number(0, 99):02d}, "tags": '
                    f'["{d.pick(["new", "vip", "trial"])}", "{d.pick(["email", "phone", "post"])}"], "uuid": "{d.bits():016x}"}}')
    return "[\n  " + ",\n  ".join(rows) + "\n]" if d.chance(50) else "\n".join(rows)


def csv_table(d):
    item = d.pick(["temperature_c", "visitors", "price_eur", "rainfall_mm", "errors"])
    start = d.number(1, 20)
    lines = [f"date,station,{item},quality"]
    lines += [f"2023-{d.number(1, 12):02d}-{start + i:02d},{d.pick(TOWNS)},{d.number(0, 400)}.{d.number(0, 9)},{d.pick('ABC')}" for i in range(8)]
    return "\n".join(lines)


FIELDS = [("price", "float", "0.0"), ("quantity", "int", "0"), ("label", "str", '""'), ("weight", "float", "1.0"), ("visible", "bool", "True"),
          ("created", "float", "0.0"), ("priority", "int", "1"), ("owner", "str", '"nobody"')]
THINGS = ["Parcel", "Sensor", "Invoice", "Route", "Ticket", "Widget", "Account", "Session", "Shelf", "Recipe"]


def python_class(d):
    thing, fields = d.pick(THINGS), d.some(FIELDS, 3)
    key = fields[0][0]
    body = "\n".join(f"    {n}: {t} = {v}" for n, t, v in fields)
    return (f"@dataclass\nclass {thing}:\n    \"\"\"{d.pick(['One', 'A single', 'What we know of one'])} {thing.lower()}.\"\"\"\n\n{body}\n\n"
            f"    @classmethod\n    def from_row(cls, row: dict[str, str]) -> \"{thing}\":\n"
            f"        return cls({', '.join(f'{n}={t}(row[{n!r}])' for n, t, _ in fields)})\n\n\n"
            f"def group_by_{key}(items: list[{thing}]) -> dict[{fields[0][1]}, list[{thing}]]:\n    groups: dict = {{}}\n"
            f"    for item in items:\n        groups.setdefault(item.{key}, []).append(item)\n    return groups")


CPP_TYPES = {"float": "double", "int": "std::int64_t", "str": "std::string", "bool": "bool"}


def cpp_struct(d):
    thing, fields = d.pick(THINGS), d.some(FIELDS, 3)
    key = fields[1][0]
    members = "\n".join(f"  {CPP_TYPES[t]} {n}{{}};" for n, t, _ in fields)
    return (f"struct {thing} {{\n{members}\n\n  bool operator==(const {thing}&) const = default;\n}};\n\n"
            f"// {d.pick(['Stable, so that equal ones keep their order.', 'Sorted in place; O(n log n).', 'Largest first.'])}\n"
            f"void sort_by_{key}(std::vector<{thing}>& items) {{\n"
            f"  std::stable_sort(items.begin(), items.end(), [](const {thing}& a, const {thing}& b) {{ return a.{key} > b.{key}; }});\n}}\n\n"
            f"std::optional<{thing}> find_by_{key}(const std::vector<{thing}>& items, const {CPP_TYPES[fields[1][1]]}& wanted) {{\n"
            f"  for (const {thing}& item : items) {{\n    if (item.{key} == wanted) return item;\n  }}\n  return std::nullopt;\n}}")


def sql_query(d):
    thing, fields = d.pick(THINGS).lower() + "s", d.some(FIELDS, 3)
    names = [n for n, _, _ in fields]
    return (f"SELECT {names[0]}, COUNT(*) AS n, MAX({names[1]}) AS highest\nFROM {thing}\nWHERE {names[2]} IS NOT NULL AND id > "
            f"{d.number(10, 9999)}\nGROUP BY {names[0]}\nHAVING COUNT(*) >= {d.number(2, 20)}\nORDER BY n DESC\nLIMIT {d.number(5, 50)};\n\n"
            f"UPDATE {thing} SET {names[1]} = {names[1]} + 1 WHERE {names[0]} = :key;\n"
            f"DELETE FROM {thing} WHERE created < {d.number(1600000000, 1720000000)};")


def letter(d):
    writer, reader, place = name(d), d.pick(FIRST), d.pick(TOWNS)
    news = d.some([
        "The roof is done at last, and it kept out Sunday's storm.",
        "I have started to learn the cello, to the sorrow of everyone on the second floor.",
        "Your parcel came on Tuesday; the plums had become jam on the way, and very good jam.",
        "We have a new neighbour who walks a cat on a lead.",
        "The doctor says that the knee will do if I let it, and I am letting it.",
        "They have painted the bridge green, after two years of discussion about blue.",
        "I found the photograph you asked about. It was in the dictionary, under B.",
        "The choir has lost its only tenor to a shipping company.",
        "Work is what it was: too much on Monday and nothing to show on Friday.",
        "The children have built a boat that floats as long as nobody is in it.",
    ], 4)
    ask = d.pick(["Write soon and tell me about the exam.", "When are you coming? The spare bed has a mattress now.",
                  "Give my love to your mother, and do not lend her this letter.", "Tell me what you are reading; I have run out."])
    return f"{place}, {d.number(1, 28)} {d.pick(['March', 'May', 'September', 'November'])}\n\nDear {reader},\n\n{' '.join(news)} {ask}\n\nYours,\n{writer}"


def minutes(d):
    people = d.some(LAST, 4)
    return (f"Minutes of the meeting of {d.number(1, 28)} {d.pick(['January', 'April', 'June', 'October'])}\nPresent: {', '.join(people)}\n"
            f"1. The minutes of the last meeting were approved.\n2. {people[0]} reported that {d.pick(['the budget is overspent by', 'sales have grown by', 'the backlog has fallen by'])} "
            f"{d.number(2, 38)} per cent. {people[1]} asked for {d.pick(['the figures by region', 'a comparison with last year', 'a plan until spring'])}.\n"
            f"3. It was agreed to {d.pick(['postpone the move', 'renew the contract with the carrier', 'hire a second technician', 'close the old portal'])} "
            f"({d.number(3, 4)} in favour, {d.number(0, 1)} abstention).\n4. Action: {people[2]} to {d.pick(['obtain three quotes', 'write to the tenants', 'test the backup'])} "
            f"by the {d.number(3, 27)}th; {people[3]} to {d.pick(['inform the team', 'update the schedule', 'draft the announcement'])}.\n"
            f"The meeting closed at {d.number(10, 17)}:{d.pick(['05', '20', '35', '50'])}.")


KOREAN_PEOPLE = ["민준", "서연", "지호", "하은", "도윤", "수아", "예준", "지우", "현우", "나은"]
KOREAN_PLACES = ["부산", "전주", "강릉", "제주", "대구", "속초", "경주", "여수"]


def has_final(word):
    return (ord(word[-1]) - 0xAC00) % 28 != 0


def particle(word, with_final, without):
    return word + (with_final if has_final(word) else without)


def korean_story(d):
    who, other = d.some(KOREAN_PEOPLE, 2)
    place = d.pick(KOREAN_PLACES)
    thing = d.pick(["사진기", "우산", "수첩", "기타", "지도", "편지", "목도리", "화분"])
    season, food = d.pick(["봄", "여름", "가을", "겨울"]), d.pick(["국수", "만두", "비빔밥", "떡볶이", "해물탕", "감자전"])
    sentences = [
        d.pick([f"지난 {season}에 {particle(who, '은', '는')} 혼자 {place}에 다녀왔다.",
                f"{particle(who, '이', '가')} {place}에 도착했을 때는 이미 해가 지고 있었다.",
                f"{place}의 {particle(season, '은', '는')} 생각보다 조용했다."]),
        d.pick([f"역 앞의 작은 가게에서 {particle(food, '을', '를')} 먹고 나니 비로소 여행을 온 기분이 들었다.",
                f"숙소 주인은 {particle(food, '이', '가')} 맛있는 집을 종이에 그려 주었다.",
                f"시장 골목에는 {food} 냄새가 가득했고 사람들은 줄을 서서 기다리고 있었다."]),
        d.pick([f"가방 속에는 {particle(other, '이', '가')} 빌려준 {particle(thing, '이', '가')} 들어 있었다.",
                f"{particle(thing, '을', '를')} 잃어버린 것을 알게 된 것은 버스가 떠난 뒤였다.",
                f"{other}에게 줄 선물로 오래된 {particle(thing, '을', '를')} 하나 샀다."]),
        d.pick(["다음 날 아침에는 안개가 짙어서 바다가 보이지 않았다.", "밤새 비가 내렸지만 아침에는 하늘이 맑게 개었다.",
                f"오전 {d.number(7, 11)}시에 출발하는 배를 타려고 일찍 일어났다."]),
        d.pick([f"돌아오는 길에 {particle(who, '은', '는')} 다음에는 꼭 {other}과 함께 와야겠다고 생각했다." if has_final(other)
                else f"돌아오는 길에 {particle(who, '은', '는')} 다음에는 꼭 {other}와 함께 와야겠다고 생각했다.",
                f"여행에 쓴 돈은 모두 {d.number(4, 38)}만 원이었고, 남은 것은 사진 {d.number(12, 90)}장이었다.",
                "집에 와서 짐을 풀다가 주머니에서 작은 조개껍데기를 발견했다."]),
    ]
    return " ".join(sentences)


def korean_qa(d):
    pairs = d.some([
        ("물은 몇 도에서 끓나요?", "보통의 기압에서는 섭씨 100도에서 끓습니다. 높은 산에서는 기압이 낮아 더 낮은 온도에서 끓습니다."),
        ("대한민국의 수도는 어디입니까?", "서울입니다."),
        ("우체국은 몇 시에 문을 닫습니까?", "평일에는 오후 여섯 시에 닫고, 토요일과 일요일에는 쉽니다."),
        ("회의 시간을 바꿀 수 있을까요?", "네, 가능합니다. 화요일 오후나 목요일 오전 가운데 편하신 시간을 알려 주세요."),
        ("비밀번호를 잊어버렸어요.", "로그인 화면에서 '비밀번호 찾기'를 누르시면 등록하신 전자우편으로 안내를 보내 드립니다."),
        ("무지개는 왜 생기나요?", "햇빛이 공기 중의 물방울을 지나면서 색깔마다 다른 각도로 꺾이기 때문입니다."),
        ("커피를 줄이려면 어떻게 해야 할까요?", "하루에 반 잔씩 천천히 줄이고, 오후에는 보리차처럼 카페인이 없는 음료를 마셔 보세요."),
        ("이 문장을 높임말로 바꿔 줘: 밥 먹었어?", "진지 드셨어요?"),
        ("가장 가까운 지하철역이 어디예요?", "이 길로 곧장 가시다가 은행에서 왼쪽으로 도시면 3번 출구가 보입니다."),
    ], 4)
    return "\n".join(f"질문: {q}\n답변: {a}" for q, a in pairs)


GREETINGS = [
    ("English", "Good morning. The meeting begins at {h}; please bring the documents and {n} copies."),
    ("Deutsch", "Guten Morgen. Die Besprechung beginnt um {h} Uhr; bringen Sie bitte die Unterlagen und {n} Kopien mit."),
    ("Français", "Bonjour. La réunion commence à {h} heures ; veuillez apporter les documents et {n} copies."),
    ("Español", "Buenos días. La reunión empieza a las {h}; traiga por favor los documentos y {n} copias."),
    ("Português", "Bom dia. A reunião começa às {h} horas; traga, por favor, os documentos e {n} cópias."),
    ("Italiano", "Buongiorno. La riunione comincia alle {h}; si prega di portare i documenti e {n} copie."),
    ("Polski", "Dzień dobry. Spotkanie zaczyna się o godzinie {h}; proszę przynieść dokumenty i {n} kopie."),
    ("Русский", "Доброе утро. Совещание начнётся в {h} часов; пожалуйста, принесите документы и {n} копии."),
    ("Українська", "Доброго ранку. Нарада почнеться о {h} годині; будь ласка, принесіть документи та {n} копії."),
    ("Ελληνικά", "Καλημέρα. Η συνάντηση αρχίζει στις {h}· παρακαλώ φέρτε τα έγγραφα και {n} αντίγραφα."),
    ("中文", "早上好。会议{h}点开始，请带上文件和{n}份复印件。"),
    ("日本語", "おはようございます。会議は{h}時に始まります。書類と写しを{n}部お持ちください。"),
    ("한국어", "안녕하세요. 회의는 {h}시에 시작합니다. 서류와 사본 {n}부를 가져오시기 바랍니다."),
    ("العربية", "صباح الخير. يبدأ الاجتماع في الساعة {h}؛ يرجى إحضار الوثائق و{n} نسخ."),
    ("हिन्दी", "सुप्रभात। बैठक {h} बजे शुरू होगी; कृपया दस्तावेज़ और {n} प्रतियाँ साथ लाएँ।"),
    ("Türkçe", "Günaydın. Toplantı saat {h}'da başlıyor; lütfen belgeleri ve {n} kopyayı getirin."),
    ("ไทย", "สวัสดีตอนเช้า การประชุมเริ่มเวลา {h} นาฬิกา กรุณานำเอกสารและสำเนา {n} ชุดมาด้วย"),
    ("Tiếng Việt", "Chào buổi sáng. Cuộc họp bắt đầu lúc {h} giờ; xin mang theo tài liệu và {n} bản sao."),
]


def parallel_lines(d):
    hour, copies = d.number(8, 11), d.number(3, 4)
    return "\n".join(f"{language}: {text.format(h=hour, n=copies)}" for language, text in d.some(GREETINGS, 5))


def algebra(d):
    a, b, x = d.number(2, 12), d.number(1, 30), d.number(2, 15)
    p, q = d.number(1, 9), d.number(1, 9)
    m, n = d.number(2, 60), d.number(2, 60)
    g, r = m, n
    steps = []
    while r:
        steps.append(f"{g} = {g // r} * {r} + {g % r}")
        g, r = r, g % r
    return (f"1. {a}x + {b} = {a * x + b}. Subtract {b}: {a}x = {a * x}. Divide by {a}: x = {x}.\n"
            f"2. (x + {p})(x - {q}) = x^2 {'+' if p >= q else '-'} {abs(p - q)}x - {p * q}.\n"
            f"3. The greatest common divisor of {m} and {n}: {'; '.join(steps)}; so it is {g}.\n"
            f"4. {m} in binary is {m:b}, in hexadecimal {m:x}; {n} is {n:b} and {n:x}.\n"
            f"5. {m} * {n} = {m * n}, and {m * n} / {m} = {n}.")


def listing(d):
    rooms, metres = d.number(1, 5), d.number(24, 140)
    return (f"To let: flat of {rooms} room{'s' if rooms > 1 else ''}, {metres} square metres, in {d.pick(TOWNS)}, "
            f"{d.pick(['third floor without a lift', 'ground floor with a small garden', 'top floor with a view of the river'])}. "
            f"Rent {metres * d.number(9, 16)} per month, heating {d.pick(['included', 'not included', 'by gas'])}. "
            f"{d.pick(['Kitchen with everything but a dishwasher', 'New windows', 'Parquet, high ceilings, patient neighbours'])}; "
            f"{d.pick(['pets by agreement', 'no smokers', 'cellar and room for bicycles'])}. Free from the first of "
            f"{d.pick(['February', 'June', 'August', 'December'])}. Please write with a few words about yourself to {d.pick(LAST).lower()}@example.com.")


OBJECTS = ["lighthouse", "compass", "violin", "ladder", "teapot", "stairwell", "orchard", "ferry", "lantern", "typewriter", "greenhouse", "sundial"]


def fable(d):
    animal, other = d.some(["heron", "badger", "goat", "magpie", "tortoise", "fox", "hedgehog", "crow"], 2)
    thing = d.pick(OBJECTS)
    start = d.pick([
        f"A {animal} once found a {thing} and did not know what it was for.",
        f"There was a {animal} who had lived beside a {thing} for so long that she no longer saw it.",
        f"In a dry year a {animal} and a {other} quarrelled over a {thing}.",
    ])
    middle = d.pick([
        f"\"Ask the {other},\" said the wind, \"he has an opinion on everything.\" The {other} walked round it twice and declared that it was upside down.",
        f"The {other} offered three fish for it, then five, then nothing at all, and each time the {animal} wanted it more.",
        f"By day they took turns to guard it, and by night each of them dreamed of a world in which it belonged to nobody.",
    ])
    end = d.pick([
        "In the morning it had rained, and there was water for both; nobody spoke of it again.",
        "What we cannot use, said the old owl, we had better admire, and that is how the first museum began.",
        "It stands there still, and if you ask them, each will tell you that the other was right.",
        "So they learned that a price is only a question, and that one need not answer every question.",
    ])
    return f"{start} {middle} {end}"


PLAN = [(biography, 34), (town, 26), (recipe, 20), (word_problem, 32), (match_report, 18), (weather, 12), (qa, 8), (log_lines, 12),
        (json_records, 12), (csv_table, 10), (python_class, 14), (cpp_struct, 12), (sql_query, 8), (letter, 20), (minutes, 14),
        (korean_story, 32), (korean_qa, 8), (parallel_lines, 18), (algebra, 20), (listing, 14), (fable, 24)]
