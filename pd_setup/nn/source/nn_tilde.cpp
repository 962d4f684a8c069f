// The Pd object nn~: passes messages and signals to the engine.
#include "engine.h"

#include <dlfcn.h>
#include <sys/stat.h>

#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#ifdef __APPLE__
#include <crt_externs.h>
#endif

#include "m_pd.h"

static_assert(sizeof(t_sample) == sizeof(float), "nn~ is written for Pd with 32-bit samples");

namespace {

using nn::Engine;
using nn::Event;
using nn::Value;

constexpr double poll_ms = 20;
constexpr int multichannel_flag = 0x10;  // CLASS_MULTICHANNEL of Pd 0.54 and later

// The first fields of t_signal in Pd 0.54 and later, so that a build against older headers supports channels too.
struct MultichannelSignal {
    int length;
    t_sample* samples;
    t_float sample_rate;
    int channels;
};

t_class* plain_class;
t_class* multichannel_class;  // with -m
void (*set_channels)(t_signal**, int);  // Pd's signal_setmultiout; null before 0.54
bool batch;

struct Impl {  // the C++ part of the object, with constructors and destructors
    explicit Impl() : engine(batch) {}
    Engine engine;
    std::vector<const float*> in;
    std::vector<float*> out;
    std::uint64_t late_reported = 0, nonfinite_reported = 0;
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

struct Object {
    t_object pd;
    t_float unused;
    t_canvas* canvas;
    t_outlet* info;
    t_clock* clock;
    Impl* impl;
    int ins, outs;
    bool multichannel;
};

// --- events from the engine --------------------------------------------------------------------------------------

void send(Object* x, const Event& event) {
    if (event.kind == Event::note) return post("nn~: %s", event.text.c_str());
    if (event.kind == Event::error) return pd_error(x, "nn~: %s", event.text.c_str());
    std::vector<t_atom> atoms(event.values.size());
    for (std::size_t i = 0; i < atoms.size(); ++i) {
        if (const auto* number = std::get_if<double>(&event.values[i])) SETFLOAT(&atoms[i], static_cast<t_float>(*number));
        else SETSYMBOL(&atoms[i], gensym(std::get<std::string>(event.values[i]).c_str()));
    }
    outlet_anything(x->info, gensym(event.text.c_str()), static_cast<int>(atoms.size()), atoms.data());
}

void poll(Object* x) {
    clock_delay(x->clock, poll_ms);
    const auto& meters = x->impl->engine.meters();
    std::vector<Event> events;
    Event event;
    if (const auto bad = meters.nonfinite.load(); bad > 0 && x->impl->nonfinite_reported == 0) {
        x->impl->nonfinite_reported = bad;
        events.push_back({Event::error, "the model returned numbers that are not finite: playing 0 instead", {}});
    }
    while (events.size() < 100 && x->impl->engine.poll(event)) events.push_back(std::move(event));
    if (const auto late = meters.late.load(); late != x->impl->late_reported) {
        x->impl->late_reported = late;
        events.push_back({Event::out, "late", {static_cast<double>(late)}});
    }
    const auto alive = x->impl->alive;  // a message to the outlet can do anything, even delete this object
    for (const auto& e : events)
        if (*alive) send(x, e);
}

void schedule_poll(Object* x) {  // in batch mode the answer is already available
    if (batch) clock_delay(x->clock, 0);
}

// --- messages --------------------------------------------------------------------------------------------------------

std::string atom_text(const t_atom& atom) {
    char text[MAXPDSTRING];
    if (atom.a_type == A_SYMBOL) return atom.a_w.w_symbol->s_name;
    atom_string(&atom, text, sizeof text);
    return text;
}

std::vector<Value> atom_values(int count, const t_atom* atoms) {
    std::vector<Value> values;
    for (int i = 0; i < count; ++i) {
        if (atoms[i].a_type == A_FLOAT) values.emplace_back(static_cast<double>(atoms[i].a_w.w_float));
        else values.emplace_back(atom_text(atoms[i]));
    }
    return values;
}

// File names may contain spaces, where Pd splits them into several atoms.
std::string atoms_to_path(int count, const t_atom* atoms) {
    std::string name;
    for (int i = 0; i < count; ++i) {
        if (i > 0) name += " ";
        name += atom_text(atoms[i]);
    }
    return name;
}

bool is_regular_file(const std::string& path) {
    struct stat about{};
    return stat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode);
}

// The full path of a model: beside the patch or in Pd's search path, with or without ".ts".
std::string find_file(t_canvas* canvas, const std::string& name) {
    for (const std::string& candidate : {name, name + ".ts"}) {
        if (candidate.empty() || candidate.size() > MAXPDSTRING / 2) return name;
        char path[MAXPDSTRING], folder[MAXPDSTRING], *base = nullptr;
        canvas_makefilename(canvas, candidate.c_str(), path, sizeof path);
        if (is_regular_file(path)) return path;
        struct stat about{};
        if (stat(path, &about) == 0) continue;  // a folder or a pipe: opening it might block
        const int file = canvas_open(canvas, candidate.c_str(), "", folder, &base, sizeof folder, 1);
        if (file < 0) continue;
        sys_close(file);
        const std::string found = std::string(folder) + "/" + base;
        if (is_regular_file(found)) return found;
    }
    char path[MAXPDSTRING];
    canvas_makefilename(canvas, name.c_str(), path, sizeof path);
    return path;
}

bool has_arguments(Object* x, int count, int needed, const char* usage) {
    if (count >= needed) return true;
    pd_error(x, "nn~: wrong arguments. Usage: %s", usage);
    return false;
}

bool starts_with_number(Object* x, int count, const t_atom* atoms, const char* usage) {
    if (count >= 1 && atoms[0].a_type == A_FLOAT) return true;
    return has_arguments(x, 0, 1, usage);
}

int to_buffer_size(t_float value) {
    return value >= 1e9f ? 1000000000 : value <= 0 || value != value ? 0 : static_cast<int>(value);
}

void on_enable(Object* x, t_symbol*, int count, t_atom* atoms) {
    if (starts_with_number(x, count, atoms, "enable 1, or enable 0 for silence"))
        x->impl->engine.enable(atoms[0].a_w.w_float != 0);
}

void on_set(Object* x, t_symbol*, int count, t_atom* atoms) {
    if (!has_arguments(x, count, 2, "set attribute value")) return;
    x->impl->engine.set(atom_text(atoms[0]), atom_values(count - 1, atoms + 1));
    schedule_poll(x);
}

void on_get(Object* x, t_symbol*, int count, t_atom* atoms) {
    if (!has_arguments(x, count, 1, "get attribute")) return;
    x->impl->engine.get(atom_text(atoms[0]));
    schedule_poll(x);
}

void on_load(Object* x, t_symbol*, int count, t_atom* atoms) {
    if (!has_arguments(x, count, 1, "load model.ts")) return;
    x->impl->engine.load(find_file(x->canvas, atoms_to_path(count, atoms)));
    schedule_poll(x);
}

void on_reload(Object* x, t_symbol*, int, t_atom*) {
    x->impl->engine.reload();
    schedule_poll(x);
}

void on_method(Object* x, t_symbol*, int count, t_atom* atoms) {
    if (!has_arguments(x, count, 1, "method forward")) return;
    x->impl->engine.choose_method(atom_text(atoms[0]));
    schedule_poll(x);
}

void on_bufsize(Object* x, t_symbol*, int count, t_atom* atoms) {
    if (!starts_with_number(x, count, atoms, "bufsize 2048, or bufsize 0 to compute in Pd's audio thread")) return;
    x->impl->engine.resize(to_buffer_size(atoms[0].a_w.w_float));
    schedule_poll(x);
}

void on_gpu(Object* x, t_symbol*, int count, t_atom* atoms) {
    if (!starts_with_number(x, count, atoms, "gpu 1, or gpu 0 for the CPU")) return;
    x->impl->engine.use_gpu(atoms[0].a_w.w_float != 0);
    schedule_poll(x);
}

void on_dump(Object* x, t_symbol*, int, t_atom*) {
    x->impl->engine.dump();
    schedule_poll(x);
}

void on_print(Object* x, t_symbol*, int, t_atom*) {
    x->impl->engine.print();
    schedule_poll(x);
}

void on_bang(Object* x) {
    x->impl->engine.info();
    schedule_poll(x);
}

void on_anything(Object* x, t_symbol* selector, int, t_atom*) {
    pd_error(x, "nn~: there is no message '%s'. The messages are: enable set get load reload method bufsize gpu dump print bang",
             selector->s_name);
}

// --- sound -----------------------------------------------------------------------------------------------------------

t_int* perform(t_int* w) {
    auto* x = reinterpret_cast<Object*>(w[1]);
    Impl& impl = *x->impl;
    impl.engine.process(impl.in.data(), static_cast<int>(impl.in.size()), impl.out.data(), static_cast<int>(impl.out.size()),
                        static_cast<int>(w[2]));
    return w + 3;
}

void on_dsp(Object* x, t_signal** signals) {
    Impl& impl = *x->impl;
    const int samples = signals[0]->s_n;
    impl.in.clear();
    impl.out.clear();
    if (x->multichannel) {
        const auto* in = reinterpret_cast<const MultichannelSignal*>(signals[0]);
        for (int channel = 0; channel < in->channels; ++channel) impl.in.push_back(in->samples + std::size_t(channel) * samples);
        set_channels(&signals[1], x->outs);
        for (int channel = 0; channel < x->outs; ++channel)
            impl.out.push_back(signals[1]->s_vec + std::size_t(channel) * samples);
    } else {
        for (int i = 0; i < x->ins; ++i) impl.in.push_back(signals[i]->s_vec);
        for (int i = 0; i < x->outs; ++i) impl.out.push_back(signals[x->ins + i]->s_vec);
    }
    impl.engine.restart(samples, signals[0]->s_sr);
    dsp_add(reinterpret_cast<t_perfroutine>(perform), 2, reinterpret_cast<t_int>(x), static_cast<t_int>(samples));
}

// --- creation and deletion
// ------------------------------------------------------------------------------------------------------------

struct Arguments {
    bool multichannel = false;
    std::string model, method = "forward";
    int buffer = 4096;
};

// model, method and buffer in this order, with -m anywhere; missing ones keep their defaults
Arguments read(int count, const t_atom* atoms) {
    Arguments a;
    int words = 0;
    for (int i = 0; i < count; ++i) {
        const std::string word = atom_text(atoms[i]);
        if (atoms[i].a_type == A_FLOAT && words > 0) a.buffer = to_buffer_size(atoms[i].a_w.w_float);
        else if (word == "-m") a.multichannel = true;
        else if (words++ == 0) a.model = word;
        else a.method = word;
    }
    return a;
}

void on_free(Object* x) {
    if (x->clock) clock_free(x->clock);
    if (x->impl) *x->impl->alive = false;
    delete x->impl;
}

void* create(int count, t_atom* atoms) {
    const Arguments arguments = read(count, atoms);
    const bool multichannel = arguments.multichannel && set_channels;
    auto* x = reinterpret_cast<Object*>(pd_new(multichannel ? multichannel_class : plain_class));
    x->impl = nullptr;
    x->clock = nullptr;
    x->impl = new Impl;
    x->canvas = canvas_getcurrent();
    x->multichannel = multichannel;
    if (arguments.multichannel && !multichannel)
        pd_error(x, "nn~: -m needs Pd 0.54 or newer: using one inlet and one outlet per signal");

    std::pair<int, int> channels{1, 1};
    std::string error;
    if (!arguments.model.empty() &&
        !x->impl->engine.open(find_file(x->canvas, arguments.model), arguments.method, arguments.buffer, channels, error)) {
        pd_error(nullptr, "nn~: %s", error.c_str());  // null: the object is deleted next, so Pd cannot select it
        pd_free(&x->pd.ob_pd);
        return nullptr;
    }
    x->ins = channels.first;
    x->outs = channels.second;
    x->impl->engine.set_channel_counts(x->ins, x->outs);
    for (int i = 1; i < (multichannel ? 1 : x->ins); ++i) inlet_new(&x->pd, &x->pd.ob_pd, &s_signal, &s_signal);
    for (int i = 0; i < (multichannel ? 1 : x->outs); ++i) outlet_new(&x->pd, &s_signal);
    x->info = outlet_new(&x->pd, nullptr);
    x->clock = clock_new(x, reinterpret_cast<t_method>(poll));
    clock_delay(x->clock, 0);
    return x;
}

void* on_new(t_symbol*, int count, t_atom* atoms) {
    try {
        return create(count, atoms);
    } catch (const std::exception& error) {
        pd_error(nullptr, "nn~: %s", error.what());
    } catch (...) {
        pd_error(nullptr, "nn~: cannot be created for an unknown reason");
    }
    return nullptr;
}

// Wraps a method so that no exception reaches Pd, which is written in C.
template <auto method> void safe(Object* x, t_symbol* selector, int count, t_atom* atoms) {
    try {
        method(x, selector, count, atoms);
    } catch (const std::exception& error) {
        pd_error(x, "nn~: %s", error.what());
    } catch (...) {
        pd_error(x, "nn~: an unknown exception");
    }
}

template <auto method, class... Args> void safe_call(Object* x, Args... args) {
    try {
        method(x, args...);
    } catch (const std::exception& error) {
        pd_error(x, "nn~: %s", error.what());
    } catch (...) {
        pd_error(x, "nn~: an unknown exception");
    }
}

template <auto method> void add(t_class* c, const char* name) {
    class_addmethod(c, reinterpret_cast<t_method>(safe<method>), gensym(name), A_GIMME, A_NULL);
}

t_class* make_class(bool first, int flags) {
    // Both classes are named nn~; Pd creates objects through the first one only.
    t_class* c =
        class_new(gensym("nn~"), first ? reinterpret_cast<t_newmethod>(on_new) : nullptr, reinterpret_cast<t_method>(on_free),
                  sizeof(Object), CLASS_DEFAULT | flags, first ? A_GIMME : A_NULL, A_NULL);
    CLASS_MAINSIGNALIN(c, Object, unused);
    class_addmethod(c, reinterpret_cast<t_method>(safe_call<on_dsp, t_signal**>), gensym("dsp"), A_CANT, A_NULL);
    add<on_enable>(c, "enable");
    add<on_set>(c, "set");
    add<on_get>(c, "get");
    add<on_load>(c, "load");
    add<on_reload>(c, "reload");
    add<on_method>(c, "method");
    add<on_bufsize>(c, "bufsize");
    add<on_gpu>(c, "gpu");
    add<on_dump>(c, "dump");
    add<on_print>(c, "print");
    class_addbang(c, reinterpret_cast<t_method>(safe_call<on_bang>));
    class_addanything(c, reinterpret_cast<t_method>(safe<on_anything>));
    return c;
}

// Whether `word` is an argument on the command line of this process.
bool has_command_line_argument(const char* word) {
#ifdef __APPLE__
    for (int i = 1; i < *_NSGetArgc(); ++i)
        if (std::strcmp((*_NSGetArgv())[i], word) == 0) return true;
#else
    std::ifstream file("/proc/self/cmdline", std::ios::binary);
    for (std::string argument; std::getline(file, argument, '\0');)
        if (argument == word) return true;
#endif
    return false;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) void nn_tilde_setup() {
    if (plain_class) return;
    batch = has_command_line_argument("-batch");  // Pd does not tell externals
    set_channels = reinterpret_cast<void (*)(t_signal**, int)>(dlsym(RTLD_DEFAULT, "signal_setmultiout"));
    plain_class = make_class(true, 0);
    multichannel_class = set_channels ? make_class(false, multichannel_flag) : nullptr;
}
